"""BM25 of titles (as Lucene has it), with word statistics of some of the titles."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from unified_ranker.core.arrays import Ints, Mask

K1, B = 1.5, 0.75


def title_scores(titles: list[list[str]], known: Mask) -> tuple[sparse.csr_array, dict[str, int]]:
    """Return BM25 of every title, a list of its words, for every word, `[words, titles]`, and the words' rows.

    `known` `[titles]` marks the titles whose words are counted; see `word_scores`.
    """
    vocabulary: dict[str, int] = {}
    words = np.array([vocabulary.setdefault(word, len(vocabulary)) for title in titles for word in title], np.int64)
    of_title = np.repeat(np.arange(len(titles)), [len(title) for title in titles])
    return word_scores(word_counts(words, of_title, len(vocabulary), len(titles)), known), vocabulary


def word_counts(words: Ints, of_title: Ints, vocabulary: int, titles: int) -> sparse.csr_array:
    """Count each word of `words` `[n]`, numbers below `vocabulary`, in its title `[n]`, `[vocabulary, titles]`."""
    ones = np.ones(len(words), np.float32)
    return sparse.coo_array((ones, (words, of_title)), shape=(vocabulary, titles)).tocsr()


def word_scores(counts: sparse.csr_array, known: Mask) -> sparse.csr_array:
    """Return BM25 of every title for every word, by the counts of the words, `[words, titles]` both.

    Document frequencies and the mean length are those of the `known` titles `[titles]` alone. (The library bm25s, the
    oracle of the tests, takes them from all titles, and its lists of words took 1.5 GB for a million titles.)
    """
    lengths = counts.sum(axis=0).astype(np.float64)
    damping = K1 * (1 - B + B * lengths / mean_length(counts, known))
    rarity = inverse_frequency(titles_with(counts, known), int(known.sum()))
    factors = np.repeat(rarity, np.diff(counts.indptr))
    scores = factors * counts.data / (counts.data + damping[counts.indices])
    return sparse.csr_array((scores, counts.indices, counts.indptr), shape=counts.shape)


def mean_length(counts: sparse.csr_array, known: Mask) -> float:
    """Return the mean number of words of the `known` titles `[titles]`; 1 where they have none."""
    lengths = counts.sum(axis=0).astype(np.float64)[known]
    return float(lengths.mean()) if lengths.any() else 1.0


def titles_with(counts: sparse.csr_array, known: Mask) -> npt.NDArray[np.float64]:
    """Return how many of the `known` titles `[titles]` have each word, `[words]`."""
    return (counts > 0).astype(np.float64) @ known.astype(np.float64)


def inverse_frequency(found: npt.NDArray[np.float64], titles: int) -> npt.NDArray[np.float64]:
    """Return Lucene's inverse document frequency of words that occur in `found` of `titles` titles."""
    return np.log1p((titles - found + 0.5) / (found + 0.5))
