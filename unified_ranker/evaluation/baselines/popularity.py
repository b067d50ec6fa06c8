"""Baselines that use neither the user nor the request: most popular, and newest."""

import numpy as np

from unified_ranker.core.arrays import Floats
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.evaluation.baselines.counting import positives_per_item
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


@BASELINES.declare
class PopularityBaseline(Baseline):
    """Items by their number of positives of the task before the end of the fit window."""

    name = "popularity"
    signal = "popular"

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        self._counts = positives_per_item(past, self.task, len(prepared.items)).astype(np.float32)

    def _score(self, requests: Examples) -> Floats:
        return np.tile(self._counts, (len(requests), 1))


@BASELINES.declare
class NewestFirst(Baseline):
    """Items by creation time, the latest first; items without one come last."""

    name = "newest first"
    signal = "newest"

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.creation_times

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        # The rank and not the seconds, because float32 cannot distinguish two recent minutes.
        _, order = np.unique(prepared.created_at, return_inverse=True)
        self._order = order.astype(np.float32)

    def _score(self, requests: Examples) -> Floats:
        return np.tile(self._order, (len(requests), 1))
