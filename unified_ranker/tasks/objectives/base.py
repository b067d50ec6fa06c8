"""Contract of a retrieval objective: the loss by which the query embedding finds the next items of an example.

The ranking head has losses of its own (`tasks.head_kinds.base`). The loss of a model is the sum of both, weighted by
task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.tasks.encoded_state import EncodedQuery, Labels
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class RetrievalBatch:
    """Examples of all tasks, with the items of their batch.

    Attributes:
        query: the examples, encoded.
        labels: of the examples.
        decay: weights of `labels.targets`, `[examples, k]`; 0 for later targets that did not exist yet at the time.
        items: the items of the batch.
        drawn: items drawn uniformly from the catalogue, `[n]`, at least as many as the objective asks for.
    """

    query: EncodedQuery
    labels: Labels
    decay: tf.Tensor
    items: ItemVectors
    drawn: tf.Tensor


class RetrievalLoss(ABC):
    """Loss of the tasks that declare the same objective.

    Attributes:
        progress: returns the share of the training that is done, a scalar in [0, 1]; the training job sets it.
    """

    progress: Callable[[], tf.Tensor] = staticmethod(lambda: tf.constant(1.0))

    @abstractmethod
    def of_rows(self, batch: RetrievalBatch, rows: tf.Tensor) -> tf.Tensor:
        """Return the loss of the examples at `rows` `[n]` of the batch, `[n]`; there may be none.

        An item that did not exist at the time of an example is no candidate for it, unless it is the example's own.
        """


class ObjectiveKind(Declaration, ABC):
    """Declaration of a retrieval objective, `negatives` in a file of tasks/, which builds its loss.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without TensorFlow (see
    `towers.tensorflow`). Tasks with equal declarations share one loss.

    Attributes:
        whole_catalogue: whether every batch must hold the vectors of all items; otherwise it holds those of its own
            targets, and of the items that are drawn.
    """

    whole_catalogue: ClassVar[bool] = False

    type: str

    @property
    def draws(self) -> int:
        """Number of items that a batch draws uniformly from the catalogue; 0 by default. All objectives share them."""
        return 0

    @property
    def keeps(self) -> int | None:
        """Number of negatives of a step that count, the hardest ones; None, which is the default: all."""
        return None

    @abstractmethod
    def build(self, share: np.ndarray, temperature: float) -> RetrievalLoss:
        """Build the loss.

        Args:
            share: each item's share of the training positives of the tasks that declare this, `[items]`.
            temperature: divides cosines.
        """


OBJECTIVES: Kinds[ObjectiveKind] = Kinds("retrieval objective")
"""Objectives that `negatives` in a file of tasks/ may declare."""
