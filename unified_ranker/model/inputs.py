"""Looked-up requests and training batches: the numeric inputs of the model."""

from __future__ import annotations

from dataclasses import dataclass

from unified_ranker.tasks.encoded_state import Labels
from unified_ranker.towers.columns import Column, Columns
from unified_ranker.towers.history import HistoryWindows
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class RequestIndices(Columns):
    """Requests after look-up and imputation, `[batch]`.

    Attributes:
        task: index of the task, 0 where unknown.
        source: index of the source item; -1 without one.
        country: index of the country, 0 where unknown.
        previous_task: index of the task of the user's last event, 0 without one.
        gap: seconds since the user's last event; -1 without one.
        timestamp: seconds.
        position: number of events of the window that are before the request.
    """

    task: Column
    source: Column
    country: Column
    previous_task: Column
    gap: Column
    timestamp: Column
    position: Column

    @classmethod
    def spec(cls) -> RequestIndices:
        """Return the types of any number of requests."""
        return cls(*[tf.TensorSpec([None], tf.int64)] * 7)


@dataclass(frozen=True, eq=False)
class TrainingExamples(Columns):
    """Examples after look-up, `[examples]`.

    Attributes:
        request: the request.
        query: index of the query's text among the queries of the training slice.
        labels: of the example.
    """

    request: RequestIndices
    query: Column
    labels: Labels


@dataclass(frozen=True, eq=False)
class TrainingBatch(Columns):
    """Windows of histories with all examples that fall into them.

    Attributes:
        windows: of up to `width` events, `[windows, width]`.
        row: window of each example, `[examples]`.
        examples: the examples; `position` counts from the begin of their window.
    """

    windows: HistoryWindows
    row: Column
    examples: TrainingExamples

    @classmethod
    def spec(cls, targets: int) -> TrainingBatch:
        """Return the types of batches of any size, with `targets` targets for each example."""
        index, number = tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32)
        labels = Labels(
            item=index,
            head=index,
            weight=number,
            value=number,
            retrieved=number,
            targets=tf.TensorSpec([None, targets], tf.int64),
            decay=tf.TensorSpec([None, targets], tf.float32),
        )
        return cls(HistoryWindows.spec(), index, TrainingExamples(RequestIndices.spec(), index, labels))
