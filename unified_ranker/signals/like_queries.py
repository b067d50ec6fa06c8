"""Signal `like_queries`: items that were chosen for the queries that are nearest to the request's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.partner_table import PartnerTable, highest_sums, strongest, sums_of
from unified_ranker.signals.query_memory import need_queries, query_item_pairs
from unified_ranker.signals.ragged_rows import strongest_of
from unified_ranker.signals.word_hashes import rows_of, vocabulary_of, word_and_ngram_hashes
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from scipy import sparse

_SHARPER = 3
"""Power of a query's likeness in the second channel, where the nearest query counts for more."""


@SIGNALS.declare
class LikeQueries(SignalKind):
    """Choices of the candidate for the queries that are nearest to the request's, by words and parts of words."""

    type: Literal["like_queries"]
    max_words: int = Field(16, ge=1)
    """Words of a query that are read."""
    max_ngrams: int = Field(100, ge=0)
    """Character n-grams of a query that are read."""
    nearest: int = Field(50, ge=1)
    """Queries that count, the nearest."""
    queries: int = Field(200_000, ge=1)
    """Queries that are kept, those asked most."""
    postings: int = Field(100, ge=1)
    """Queries that are kept for a word or n-gram, those in which it weighs most."""
    items: int = Field(20, ge=1)
    """Items that are kept for a query, those chosen most."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        return need_queries(config, log)

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return LikeQueriesSignal(self, *query_item_pairs(inputs), len(inputs.prepared.items))


class LikeQueriesSignal(Signal):
    """Two channels: choices for the nearest queries by their likeness, and by its cube.

    A query is the vector of its words and character n-grams, weighted as in tf-idf, and likeness is the cosine, by that
    of the nearest query. The nearest are found in the graph, from the queries of each of its words
    and n-grams. Many choices for one query count by their share and its square root: one query that everybody asks
    must not outvote all others. Counts are those of the end of the fit window.
    """

    channels = ("nearest queries", "very nearest queries")
    learnt = False

    def __init__(self, config: LikeQueries, queries: np.ndarray, chosen: Ints, items: int) -> None:
        """Tabulate the items `chosen` `[n]` (indices) for `queries` `[n]`."""
        from scipy import sparse

        self.config, self._catalogue = config, items
        self.text_width = config.max_words + config.max_ngrams
        texts, of_text, asked = np.unique(queries.astype(object), return_inverse=True, return_counts=True)
        kept = np.sort(np.argsort(-asked, kind="stable")[: config.queries])
        number = np.full(len(texts), MISSING, np.int64)
        number[kept] = np.arange(len(kept))
        known = number[of_text] != MISSING
        self._queries = len(kept)
        counts = sparse.csr_array(
            (np.ones(int(known.sum()), np.float32), (number[of_text[known]], chosen[known])), shape=(len(kept), items)
        )
        total = counts.sum(1)
        self.chosen = table_of(counts.multiply(1 / np.sqrt(1 + total)[:, None]).tocsr(), config.items)
        names, vectors = self._vectors(texts[kept])
        self.postings = table_of(vectors, config.postings)
        self.vocabulary = tf.Variable(vocabulary_of(names), trainable=False, name="vocabulary")

    def _vectors(self, texts: np.ndarray) -> tuple[Ints, sparse.csr_array]:
        """Return the hashes of words and n-grams, ascending, and what each adds to likeness `[hashes, queries]`."""
        from scipy import sparse

        hashed = self._hashes(tf.constant(texts, tf.string)).numpy() if len(texts) else np.zeros((0, 1), np.int64)
        query, column = np.nonzero(hashed != MISSING)
        names, token = np.unique(hashed[query, column], return_inverse=True)
        counts = sparse.csr_array((np.ones(len(token), np.float32), (token, query)), shape=(len(names), len(texts)))
        having = np.diff(counts.indptr)
        rare = sparse.diags_array(np.log1p(len(texts) / np.maximum(having, 1)).astype(np.float32))
        weighted = rare @ counts
        length = np.sqrt(weighted.multiply(weighted).sum(0))
        return names, (rare @ weighted @ sparse.diags_array(1 / np.maximum(length, 1e-9))).tocsr()

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """See `Signal.variables`."""
        return [*self.postings.variables, *self.chosen.variables, self.vocabulary]

    def read_text(self, text: tf.Tensor) -> tf.Tensor:
        """See `Signal.read_text`: the rows of words and n-grams; -1 for unknown ones."""
        return rows_of(self._hashes(text), self.vocabulary)

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        items, values = self._chosen(request)
        return sums_of(candidates, items, values, self._catalogue)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the items with the most choices for the nearest queries."""
        items, values = self._chosen(request)
        found = strongest(items, values[..., 0], self._catalogue, self.config.candidates)
        return tf.ensure_shape(found, [None, self.config.candidates])

    def _chosen(self, request: SignalRequest) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the items of the nearest queries `[batch, n]`, and what each adds to the channels `[batch, n, 2]`."""
        # Most queries are much shorter than what is read of the longest.
        words = tf.boolean_mask(request.words, tf.reduce_any(request.words >= 0, 0), axis=1)
        queries, parts = self.postings.of(words, self.postings.widest)
        batch = tf.shape(queries)[0]
        flat = [batch, tf.shape(queries)[1] * tf.shape(queries)[2]]
        nearest, likeness = highest_sums(
            tf.reshape(queries, flat), tf.reshape(parts, flat), self._queries, self.config.nearest
        )
        items, shares = self.chosen.of(nearest, self.chosen.widest)
        likeness /= tf.maximum(likeness[:, :1], 1e-9)
        powers = tf.stack([likeness, likeness**_SHARPER], -1)[:, :, None]
        flat = [batch, tf.shape(items)[1] * tf.shape(items)[2]]
        return tf.reshape(items, flat), tf.reshape(shares * powers, [*flat, 2])

    def _hashes(self, text: tf.Tensor) -> tf.Tensor:
        return word_and_ngram_hashes(text, self.config.max_words, self.config.max_ngrams)


def table_of(weights: sparse.csr_array, most: int) -> PartnerTable:
    """Return the `most` columns with the highest weights of each row as a table."""
    starts, columns, values = strongest_of(weights, most)
    return PartnerTable(starts, columns, values[:, None])
