"""Baseline BM25 over titles: a plain search engine."""

import numpy as np
from scipy import sparse

from unified_ranker.core.arrays import MISSING, Floats
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.evaluation.baselines.counting import positives_per_item, tie_break
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.query_words import words
from unified_ranker.signals.bm25 import title_scores

_LAST = np.float32(1e-4)
"""Factor of popularity: below any difference of two titles, so that it decides only between equal scores."""


@BASELINES.declare
class Bm25(Baseline):
    """BM25 of an item's title for the query, or for the source item's title where there is no query.

    Document frequencies and the mean length are those of the items that existed at the end of the fit window, as in a
    search engine that was indexed then; later items are scored with them, too. Popularity decides between equal
    scores, which most are: titles that share no word with the query.
    """

    name = "BM25"
    signal = "lexical"

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.titles and (facts.queries or facts.sources)

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        titles = [words(t) for t in prepared.items["title"].fillna("").tolist()]
        self._titles = titles
        self._tie_break = _LAST * tie_break(positives_per_item(past, self.task, len(titles)))
        self._scores, self._vocabulary = title_scores(titles, prepared.items_before(fit_end))

    def _score(self, requests: Examples) -> Floats:
        rows: list[int] = []
        columns: list[int] = []
        pairs = zip(requests.query.tolist(), requests.source_item.tolist(), strict=True)
        for row, (query, source) in enumerate(pairs):
            asked = words(query) or (self._titles[source] if source != MISSING else [])
            known = [self._vocabulary[w] for w in asked if w in self._vocabulary]
            rows += [row] * len(known)
            columns += known
        cells = (np.array(rows, np.int64), np.array(columns, np.int64))
        shape = (len(requests), self._scores.shape[0])
        asked_for = sparse.coo_array((np.ones(len(rows)), cells), shape)
        return (asked_for.tocsr() @ self._scores).toarray().astype(np.float32) + self._tie_break
