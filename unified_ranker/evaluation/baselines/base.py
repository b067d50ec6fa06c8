"""Contract of a baseline: fitted on the past, it scores the whole catalogue for requests of one task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unified_ranker.core.arrays import MISSING, Floats
from unified_ranker.core.registry import Registry
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


@dataclass(frozen=True)
class TaskFacts:
    """Facts of a task's positives in the fit window, by which baselines are chosen.

    Attributes:
        queries: whether requests have a query, at least a share of them.
        sources: whether requests have a source item, likewise.
        neither: whether requests have neither, likewise.
        titles: whether any item has a title.
        creation_times: whether any item has a creation time.
        again: whether a user's positives are often with an item that the same user had engaged with before.
    """

    queries: bool
    sources: bool
    neither: bool
    titles: bool
    creation_times: bool
    again: bool


class Baseline(ABC):
    """A scorer for one task that needs no training beyond counting.

    `fit` may read the positives strictly before `fit_end`. `score` may read, beside what `fit` kept, the
    request itself and what its user did strictly before it: nothing later.

    Attributes:
        name: what the report calls it, unique among the baselines of a task.
        task: the task whose requests it scores.
        note: remark for the reader of its numbers, such as a restriction; "" for none.
        signal: kind of the signal that gives a model what this baseline knows; "" for none.
    """

    name: ClassVar[str]
    signal: ClassVar[str] = ""

    def __init__(self, task: str) -> None:
        self.task = task
        self.note = ""
        self._prepared: Prepared | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks whose requests this scorer takes, as the evaluation protocol asks for them."""
        return (self.task,)

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """Tell whether a task's requests have the fields that the baseline needs; by default every task suits."""
        del facts
        return True

    def fit(self, prepared: Prepared, fit_end: int) -> None:
        """Learn from the positives strictly before `fit_end` (seconds)."""
        past = prepared.between(None, fit_end)
        self._fit(prepared, past.take(past.item != MISSING), fit_end)
        self._prepared = prepared

    def score(self, requests: Examples) -> Floats:
        """Score every item for every request, `[batch, items]`; higher is better, and NaN never occurs.

        Raises:
            RuntimeError: `fit` has not been called.
        """
        if self._prepared is None:
            raise RuntimeError(f"`{self.name}` must be fitted before it scores. Call `fit` first.")
        return self._score(requests).astype(np.float32, copy=False)

    @abstractmethod
    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        """Learn from `past`, the positives of all tasks before `fit_end` (seconds)."""

    @abstractmethod
    def _score(self, requests: Examples) -> Floats:
        """Score every item for every request, `[batch, items]`."""


BASELINES: Registry[type[Baseline]] = Registry("baseline", lambda kind: kind.name)
"""Baselines by name, in the order of a report."""
