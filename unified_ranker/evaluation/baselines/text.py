"""BM25 over titles: what a plain search engine answers."""

import logging

import bm25s
import numpy as np
import numpy.typing as npt
from scipy import sparse

from unified_ranker.data.examples import MISSING, Examples, Floats
from unified_ranker.data.prepared import Prepared
from unified_ranker.evaluation.baselines.base import Baseline, positives_per_item, tie_break
from unified_ranker.evaluation.baselines.words import words

# bm25s sets its logger to DEBUG when it is imported, and would talk into every job's log.
logging.getLogger("bm25s").setLevel(logging.WARNING)

K1, B = 1.5, 0.75
_LAST = np.float32(1e-4)
"""Below what tells two titles apart, so that popularity decides only between equal ones."""


class Bm25(Baseline):
    """BM25 of an item's title for the query, or for the source item's title where there is no query.

    What the titles say in general (how rare a word is, how long a title is on average) comes from the items that
    existed at the fit's end, as in a search engine that was indexed then; later items are scored by the same weights.
    Popularity decides between equal scores, above all among the titles that share no word with the query.
    """

    name = "BM25"

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        titles = [words(t) for t in prepared.items["title"].fillna("").tolist()]
        self._titles = titles
        self._tie_break = _LAST * tie_break(positives_per_item(past, self.task, len(titles)))
        self._scores, self._vocabulary = title_scores(titles, prepared.created_at < fit_end)

    def _score(self, requests: Examples) -> Floats:
        rows: list[int] = []
        columns: list[int] = []
        pairs = zip(requests.query.tolist(), requests.source_item.tolist(), strict=True)
        for row, (query, source) in enumerate(pairs):
            asked = words(query) or (self._titles[source] if source != MISSING else [])
            known = [self._vocabulary[w] for w in asked if w in self._vocabulary]
            rows += [row] * len(known)
            columns += known
        place = (np.array(rows, np.int64), np.array(columns, np.int64))
        shape = (len(requests), self._scores.shape[0])
        asked_for = sparse.coo_array((np.ones(len(rows)), place), shape)
        return (asked_for.tocsr() @ self._scores).toarray().astype(np.float32) + self._tie_break


def title_scores(titles: list[list[str]], known: npt.NDArray[np.bool_]) -> tuple[sparse.csr_array, dict[str, int]]:
    """Return BM25 of every title for every word, `[words, items]`, and the words' rows.

    bm25s takes its statistics from all titles that it indexes. To have those of the `known` titles `[items]` alone, the
    mean length goes in through k1 and b, which occur only in k1 · (1 - b + b · length / mean length), and the words'
    inverse document frequencies are replaced afterwards: they are factors of the rows.
    """
    lengths = np.array([len(t) for t in titles], np.float64)
    stretch = _mean(lengths) / _mean(lengths[known])
    fixed, by_length = K1 * (1 - B), K1 * B * stretch
    if not lengths.any():
        return sparse.csr_array((0, len(titles))), {}
    # In float64, so that rounding to float32 in the end leaves no trace of what the library was given.
    index = bm25s.BM25(k1=fixed + by_length, b=by_length / (fixed + by_length), method="lucene", dtype="float64")
    index.index(titles, show_progress=False)
    vocabulary = {w: i for w, i in index.vocab_dict.items() if w}
    data, rows, starts = (index.scores[key] for key in ("data", "indices", "indptr"))
    scores = sparse.csc_array((data, rows, starts), shape=(len(titles), len(starts) - 1)).T.tocsr()
    present = (scores != 0).astype(np.float64)
    everywhere, before = present.sum(axis=1), present @ known.astype(np.float64)
    weight = _inverse_frequency(before, int(known.sum())) / _inverse_frequency(everywhere, len(titles))
    return (sparse.diags_array(weight) @ scores).tocsr(), vocabulary


def _inverse_frequency(found: npt.NDArray[np.float64], titles: int) -> npt.NDArray[np.float64]:
    """Return Lucene's inverse document frequency of words `found` in so many of the `titles`."""
    return np.log1p((titles - found + 0.5) / (found + 0.5))


def _mean(lengths: npt.NDArray[np.float64]) -> float:
    return float(lengths.mean()) if lengths.any() else 1.0
