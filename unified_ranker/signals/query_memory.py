"""Signal `query_memory`: items that were chosen for the same query before, and for queries with the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.first_occurrences import once_of_few
from unified_ranker.signals.partner_table import PartnerTable, strongest, sums_of
from unified_ranker.signals.ragged_rows import row_starts
from unified_ranker.signals.word_hashes import rows_of, split_words, vocabulary_of
from unified_ranker.towers.tensorflow import tf

_PRIOR = 3.0
"""Choices that are added to a word's total, so that the share of a single one is not 1."""


@SIGNALS.declare
class QueryMemory(SignalKind):
    """Choices of the candidate for the request's query, and for its words, by earlier requests."""

    type: Literal["query_memory"]
    max_words: int = Field(16, ge=1)
    """Words of a query that are read."""
    neighbours: int = Field(100, ge=1)
    """Items that are kept for a query or a word, those chosen most."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        return need_queries(config, log)

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return QueryMemorySignal(self, *query_item_pairs(inputs), len(inputs.prepared.items))


def need_queries(config: Config, log: InteractionLog) -> Need:
    """Return the requirement that some requests had a query."""
    del config
    return Need("events have queries", bool(log.events["query"].notna().any()), "no event has a `query`")


def query_item_pairs(inputs: SignalInputs) -> tuple[np.ndarray, Ints]:
    """Return the queries of the fit window `[n]`, and the items that were chosen for them `[n]`."""
    past = inputs.prepared.between(None, inputs.end)
    past = past.take((past.query != "") & (past.item != MISSING))
    return past.query, past.item


class QueryMemorySignal(Signal):
    """Two channels: log1p of the choices for the same query, and the weighted shares of the choices for its words.

    Queries are the same if their words are the same in the same order. Counts are those of the end of the fit window.
    """

    channels = ("same query", "same words")
    learnt = False

    def __init__(self, config: QueryMemory, queries: np.ndarray, chosen: np.ndarray, items: int) -> None:
        """Tabulate the items `chosen` `[n]` (indices) for `queries` `[n]`."""
        self.text_width, self._items, self._proposed = 1 + config.max_words, items, config.candidates
        texts, of_text = np.unique(queries.astype(object), return_inverse=True)
        hashed = self._hashes(tf.constant(texts, tf.string)).numpy()[of_text] if len(texts) else None
        tokens = np.zeros((0, self.text_width), np.int64) if hashed is None else hashed
        rows, columns = np.nonzero(tokens != MISSING)
        names, number = np.unique(tokens[rows, columns], return_inverse=True)
        pairs, count = np.unique(number * max(items, 1) + chosen[rows], return_counts=True)
        token, item = np.divmod(pairs, max(items, 1))
        total = np.bincount(token, count, minlength=len(names))
        # Weight of a word: the log of all items over those that it led to, as in inverse document frequency.
        width = np.bincount(token, minlength=len(names))
        telling = np.log1p(items / np.maximum(width, 1))
        share = count / (total[token] + _PRIOR) * telling[token]
        order = np.lexsort((item, -count, token))
        rank = np.arange(len(order)) - np.searchsorted(token[order], token[order])
        kept = order[rank < config.neighbours]
        counts = np.bincount(token[kept], minlength=len(names))
        starts = row_starts(counts)
        self.table = PartnerTable(starts, item[kept], np.stack([count[kept], share[kept]], -1))
        self.vocabulary = tf.Variable(vocabulary_of(names), trainable=False, name="vocabulary")

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """See `Signal.variables`."""
        return [*self.table.variables, self.vocabulary]

    def read_text(self, text: tf.Tensor) -> tf.Tensor:
        """See `Signal.read_text`: the row of the query, then those of its words, each once; -1 elsewhere."""
        return rows_of(self._hashes(text), self.vocabulary)

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        items, values = self._chosen(request)
        sums = sums_of(candidates, items, values, self._items)
        return tf.concat([tf.math.log1p(sums[..., :1]), sums[..., 1:]], -1)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the items chosen for the query, then those for its words."""
        items, values = self._chosen(request)
        found = strongest(items, 1e3 * values[..., 0] + values[..., 1], self._items, self._proposed)
        return tf.ensure_shape(found, [None, self._proposed])

    def _chosen(self, request: SignalRequest) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the items of the query and of its words `[batch, n]`: choices of the first, shares of the others."""
        items, values = self.table.of(request.words, self.table.widest)
        whole = tf.cast(tf.range(self.text_width) == 0, tf.float32)[None, :, None]
        values = tf.stack([values[..., 0] * whole, values[..., 1] * (1.0 - whole)], -1)
        shape = tf.shape(items)
        return tf.reshape(items, [shape[0], shape[1] * shape[2]]), tf.reshape(
            values, [shape[0], shape[1] * shape[2], 2]
        )

    def _hashes(self, text: tf.Tensor) -> tf.Tensor:
        """Return hashes `[n, text_width]`: of the whole query, then of its words, each once; -1 where there is none."""
        words = split_words(text, self.text_width - 1)
        padded = words.to_tensor(default_value=MISSING, shape=[None, self.text_width - 1])
        joined = tf.strings.reduce_join(tf.strings.as_string(padded), axis=1, separator=" ")
        # Above all hashes of words, because a query of one word differs from the word.
        whole = tf.strings.to_hash_bucket_fast(joined, 2**62 - 1) + 2**62
        whole = tf.where(padded[:, 0] == MISSING, tf.constant(MISSING, tf.int64), whole)
        return tf.concat([whole[:, None], once_of_few(padded)], 1)
