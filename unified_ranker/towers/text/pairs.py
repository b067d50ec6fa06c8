"""Pairs of a query and the item that it led to: training data of text encoders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import NOT_A_CANDIDATE
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class TextPairs:
    """Queries of the fit window after imputation, and the items that they led to.

    Attributes:
        queries: typed, or imputed from a source item's title, `[pairs]`.
        items: the item that each query led to, `[pairs]`.
        banned: source item and query item, which are not negatives of the query, `[pairs, 2]`; -1 for none.
        columns: the text features of all items, `[items]` each; only the rows `known` are read.
        known: the items that existed before the end of the fit window.
    """

    queries: np.ndarray
    items: np.ndarray
    banned: np.ndarray
    columns: dict[str, np.ndarray]
    known: np.ndarray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.queries)

    @property
    def titles(self) -> np.ndarray:
        """The texts of the known items, all features one after the other."""
        return np.concatenate([np.zeros(0, object), *(column[self.known] for column in self.columns.values())])

    def texts(self) -> np.ndarray:
        """Return the distinct titles and queries of the fit window, `[n]`, without the empty text."""
        texts = np.unique(np.concatenate([self.titles, self.queries]).astype(str))
        return texts[texts != ""].astype(object)

    def batches(self, count: int, size: int, negatives: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield `count` batches: `query`, rows of pairs; `candidates`, items; `left_out`, no negatives."""
        rng = np.random.default_rng([seed, 1])
        for _ in range(count):
            rows = rng.choice(len(self), size, replace=size > len(self))
            candidates = np.concatenate([self.items[rows], rng.choice(self.known, negatives)])
            own = np.arange(len(rows))[:, None] == np.arange(len(candidates))[None]
            same = candidates[None] == self.items[rows][:, None]
            banned = (candidates[None, :, None] == self.banned[rows][:, None]).any(2)
            yield {"query": rows, "candidates": candidates, "left_out": (same | banned) & ~own}


def contrast(queries: tf.Tensor, items: tf.Tensor, left_out: tf.Tensor, temperature: float) -> tf.Tensor:
    """Return the mean cross-entropy of query i `[n, dim]` choosing item i among `items` `[m, dim]`, m >= n.

    `left_out` `[n, m]` marks items that are no negatives of a query, because they may be right answers, too.
    """
    logits = tf.matmul(queries, items, transpose_b=True) / temperature
    logits = tf.where(left_out, NOT_A_CANDIDATE, logits)
    own = tf.range(tf.shape(queries)[0])
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits))
