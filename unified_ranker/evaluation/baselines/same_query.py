"""Baseline "same query": the items that earlier users of the same query chose."""

import numpy as np

from unified_ranker.core.arrays import Floats
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.evaluation.baselines.counting import positives_per_item, tie_break
from unified_ranker.evaluation.engagements import counts
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.query_words import normalise_query


@BASELINES.declare
class SameQuery(Baseline):
    """Counts of how often the item was chosen for the same normalised query; popularity decides between equals."""

    name = "same query"
    signal = "query_memory"

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.queries

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        items = len(prepared.items)
        asked = past.take((past.task == self.task) & (past.query != ""))
        queries = [normalise_query(q) for q in asked.query.tolist()]
        self._row = {query: row for row, query in enumerate(dict.fromkeys(queries))}
        rows = np.array([self._row[q] for q in queries], np.int64)
        self._chosen = counts(rows, asked.item, (len(self._row), items))
        self._tie_break = tie_break(positives_per_item(past, self.task, items))

    def _score(self, requests: Examples) -> Floats:
        scores = np.tile(self._tie_break, (len(requests), 1))
        rows = [self._row.get(normalise_query(q)) for q in requests.query.tolist()]
        seen = [at for at, row in enumerate(rows) if row is not None]
        scores[seen] += self._chosen[[rows[at] for at in seen]].toarray()
        return scores
