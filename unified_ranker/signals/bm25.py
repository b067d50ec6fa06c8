"""BM25 of titles by the library bm25s, with word statistics of some of the titles."""

import logging

import bm25s
import numpy as np
import numpy.typing as npt
from scipy import sparse

# bm25s sets its logger to DEBUG when it is imported, and would write into every job's log.
logging.getLogger("bm25s").setLevel(logging.WARNING)

K1, B = 1.5, 0.75


def title_scores(titles: list[list[str]], known: npt.NDArray[np.bool_]) -> tuple[sparse.csr_array, dict[str, int]]:
    """Return BM25 of every title for every word, `[words, items]`, and the words' rows.

    bm25s computes its statistics from all titles that it indexes, and here they must be those of the `known` titles
    `[items]` alone. Therefore k1 and b are adjusted, which correct the mean length because they occur only in
    k1 · (1 - b + b · length / mean length), and the inverse document frequencies, factors of the rows, are replaced.
    """
    lengths = np.array([len(t) for t in titles], np.float64)
    stretch = _mean(lengths) / _mean(lengths[known])
    fixed, by_length = K1 * (1 - B), K1 * B * stretch
    if not lengths.any():
        return sparse.csr_array((0, len(titles))), {}
    # In float64, so that after rounding to float32 the adjusted k1 and b make no difference.
    index = bm25s.BM25(k1=fixed + by_length, b=by_length / (fixed + by_length), method="lucene", dtype="float64")
    index.index(titles, show_progress=False)
    vocabulary = {w: i for w, i in index.vocab_dict.items() if w}
    data, rows, starts = (index.scores[key] for key in ("data", "indices", "indptr"))
    scores = sparse.csc_array((data, rows, starts), shape=(len(titles), len(starts) - 1)).T.tocsr()
    present = (scores != 0).astype(np.float64)
    everywhere, before = present.sum(axis=1), present @ known.astype(np.float64)
    weight = inverse_frequency(before, int(known.sum())) / inverse_frequency(everywhere, len(titles))
    return (sparse.diags_array(weight) @ scores).tocsr(), vocabulary


def inverse_frequency(found: npt.NDArray[np.float64], titles: int) -> npt.NDArray[np.float64]:
    """Return Lucene's inverse document frequency of words that occur in `found` of `titles` titles."""
    return np.log1p((titles - found + 0.5) / (found + 0.5))


def _mean(lengths: npt.NDArray[np.float64]) -> float:
    return float(lengths.mean()) if lengths.any() else 1.0
