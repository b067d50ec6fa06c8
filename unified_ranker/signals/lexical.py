"""Signal `lexical`: BM25 of the query over titles, as numbers for the ranker and as a source of candidates."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.first_occurrences import once_of_few
from unified_ranker.signals.ragged_rows import cells, strongest_of
from unified_ranker.signals.tables import TableSignal
from unified_ranker.signals.word_hashes import rows_of, split_words, vocabulary_of
from unified_ranker.towers.known_rows import known_rows
from unified_ranker.towers.tensorflow import tf

LEXICAL_SCALE = 0.1
"""Scale of BM25, which reaches some tens, so that the ranker's inputs are about 1."""
_TITLES_AT_ONCE = 50_000
"""Titles that are split into words at once: a word takes some hundred bytes while it is split."""


@SIGNALS.declare
class Lexical(SignalKind):
    """BM25 of the query (typed or imputed) over titles."""

    type: Literal["lexical"]
    max_words: int = Field(16, ge=1)
    """Number of words that are read of a query and of a title."""
    postings: int = Field(500, ge=1)
    """Number of titles that are searched for one word, those with the highest BM25."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        return Need("items have titles", bool(log.items["title"].notna().any()), "no item has a title")

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        titles = inputs.prepared.items["title"].fillna("").to_numpy(object)
        return LexicalSignal(self, titles, inputs.prepared.items_before(inputs.end))


class LexicalSignal(TableSignal):
    """Three channels: BM25 (scaled), the share of the query that is in the title, the share of the title in the query.

    Shares are weighted by inverse document frequency, which is that of the titles at the end of the fit window. Stock
    TensorFlow ops only.
    """

    channels = ("bm25", "share of the query", "share of the title")

    def __init__(self, config: Lexical, titles: np.ndarray, known: np.ndarray) -> None:
        """Index `titles` `[items]`; `known` `[items]` marks those from which document frequencies are computed."""
        from unified_ranker.signals.bm25 import inverse_frequency, mean_length, titles_with, word_counts, word_scores

        super().__init__()
        self.config, self.text_width = config, config.max_words
        hashes, of_title = _words_of(titles, config.max_words)
        vocabulary, words = np.unique(hashes, return_inverse=True)
        self.vocabulary = self.table("vocabulary", vocabulary_of(vocabulary))
        counts = word_counts(words, of_title, max(len(vocabulary), 1), len(titles))
        by_word = word_scores(counts, known)
        self._mean_length = mean_length(counts, known)
        self._idf_of_new = float(inverse_frequency(np.zeros(1), int(known.sum()))[0])
        idf = inverse_frequency(titles_with(counts, known), int(known.sum())).astype(np.float32)
        self.idf = self.table("idf", idf)
        self._index_titles(by_word, len(titles), idf)
        self._index_words(by_word)

    def read_text(self, text: tf.Tensor) -> tf.Tensor:
        """See `Signal.read_text`: each word once, by its id, or by a number below -1 where no title has it; then -1."""
        return once_of_few(self._numbers(text))

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`; titles do not change with time."""
        del time
        rows = known_rows(self.title_words, candidates)
        title, weights = tf.gather(self.title_words, rows), tf.gather(self.title_weights, rows)
        # As wide as the longest query: every word of a title is compared with every word of the query.
        used = tf.reduce_max(tf.where(request.words >= 0, tf.range(1, self.text_width + 1), 0))
        # Blanks of queries are other numbers than those of titles, and equal to no word.
        asked = tf.where(request.words < 0, tf.constant(MISSING - 1, tf.int64), request.words)[:, None, None, :used]
        # Titles and queries have each of their words once.
        held = tf.cast(tf.reduce_any(title[..., None] == tf.cast(asked, tf.int32), 3), tf.float32)
        bm25, importance = (tf.reduce_sum(held * part, 2) for part in tf.split(weights[..., :-1], 2, -1))
        words = request.words
        own = tf.gather(self.idf, tf.maximum(words, 0)) * tf.cast(words >= 0, tf.float32)
        return tf.stack(
            [
                LEXICAL_SCALE * bm25,
                tf.math.divide_no_nan(importance, tf.reduce_sum(own, 1, keepdims=True)),
                tf.math.divide_no_nan(importance, weights[..., -1]),
            ],
            -1,
        )

    def title_features(self, request: SignalRequest, row: tf.Tensor, titles: tf.Tensor) -> tf.Tensor:
        """See `Signal.title_features`; a word that no released title has counts as one that occurs nowhere else."""
        from unified_ranker.signals.bm25 import K1, B

        words = self._numbers(titles)
        there = words != MISSING
        count = tf.reduce_sum(tf.cast((words[:, :, None] == words[:, None]) & there[:, None], tf.float32), 2)
        length = tf.reduce_sum(tf.cast(there, tf.float32), 1, keepdims=True)
        damping = K1 * (1 - B + B * length / self._mean_length)
        once = once_of_few(words)
        idf = self._idf_of(once)
        asked = tf.gather(request.words, row)
        held = tf.reduce_any((once[..., None] == asked[:, None]) & (once != MISSING)[..., None], 2)
        bm25 = tf.reduce_sum(tf.where(held, idf * tf.math.divide_no_nan(count, count + damping), 0.0), 1)
        importance = tf.reduce_sum(tf.where(held, idf, 0.0), 1)
        # New words of a query count where the title has them, as they do not for released titles, which have none.
        known = tf.reduce_sum(tf.where(asked >= 0, self._idf_of(asked), 0.0), 1)
        new = tf.reduce_sum(tf.where(held & (once < MISSING), idf, 0.0), 1)
        return tf.stack(
            [
                LEXICAL_SCALE * bm25,
                tf.math.divide_no_nan(importance, known + new),
                tf.math.divide_no_nan(importance, tf.reduce_sum(idf, 1)),
            ],
            -1,
        )

    def _numbers(self, text: tf.Tensor) -> tf.Tensor:
        """Return the words of texts `[n]` in their order, `[n, words]`: see `read_text`."""
        hashes = split_words(text, self.text_width).to_tensor(MISSING, shape=[None, self.text_width])
        rows = rows_of(hashes, self.vocabulary)
        return tf.where((rows < 0) & (hashes != MISSING), MISSING - 1 - hashes, rows)

    def _idf_of(self, words: tf.Tensor) -> tf.Tensor:
        """Return the inverse document frequencies of words; 0 for -1."""
        of_new = tf.where(words < MISSING, self._idf_of_new, 0.0)
        return tf.where(words >= 0, tf.gather(self.idf, tf.maximum(words, 0)), of_new)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the titles with the highest BM25, as far as the postings reach."""
        if not self.config.candidates:
            return tf.zeros([tf.shape(request.words)[0], 0], tf.int64)
        batch = tf.shape(request.words, tf.int64)[0]
        words = tf.reshape(request.words, [-1])
        last = tf.shape(self.starts, tf.int64)[0] - 2
        rows = tf.where(words < 0, last, words)
        begin, end = tf.gather(self.starts, rows), tf.gather(self.starts, rows + 1)
        postings = tf.ragged.range(begin, end)
        owner = postings.value_rowids() // self.text_width
        items = tf.shape(self.title_words, tf.int64)[0]
        keys = owner * items + tf.gather(self.posting_items, postings.flat_values)
        pairs, number = tf.unique(keys, tf.int64)
        totals = tf.math.unsorted_segment_sum(
            tf.gather(self.posting_weights, postings.flat_values), number, tf.shape(pairs, tf.int64)[0]
        )
        # `unique` keeps first occurrences in order, and owners ascend, so the titles of a query stay together.
        found = tf.RaggedTensor.from_value_rowids(pairs % items, pairs // items, batch)
        width = tf.maximum(found.bounding_shape(1), self.config.candidates)
        items_of = found.to_tensor(-1, shape=[None, None])
        items_of = tf.pad(items_of, [[0, 0], [0, width - tf.shape(items_of, tf.int64)[1]]], constant_values=-1)
        totals = found.with_flat_values(totals).to_tensor(-1.0)
        totals = tf.pad(totals, [[0, 0], [0, width - tf.shape(totals, tf.int64)[1]]], constant_values=-1.0)
        best = tf.math.top_k(totals, self.config.candidates).indices
        return tf.gather(items_of, best, batch_dims=1)

    def _index_titles(self, by_word: object, items: int, idf: np.ndarray) -> None:
        """Store the words of each title, `[items + 1, words]`; the last row is blank.

        And, side by side, their BM25, their inverse document frequencies, and the sum of these.
        """
        table = by_word.T.tocsr()  # type: ignore[attr-defined]
        lengths = np.diff(table.indptr) if items else np.zeros(0, np.int64)
        width = max(int(lengths.max(initial=0)), 1)
        words = np.full((items + 1, width), MISSING, np.int32)
        weights = np.zeros((items + 1, width), np.float32)
        rows, columns = cells(lengths)
        words[rows, columns], weights[rows, columns] = table.indices, table.data
        importance = np.where(words >= 0, idf[np.maximum(words, 0)], 0).astype(np.float32)
        total = importance.sum(1, keepdims=True)
        self.title_words = self.table("title_words", words)
        self.title_weights = self.table("title_weights", np.concatenate([weights, importance, total], 1))

    def _index_words(self, by_word: object) -> None:
        """Store for each word the `postings` titles with its highest BM25; the last word is blank."""
        table = by_word.tocsr()  # type: ignore[attr-defined]
        starts, items, weights = strongest_of(table, self.config.postings)
        self.starts = self.table("starts", starts)
        self.posting_items = self.table("posting_items", _at_least_one(items.astype(np.int64), 0))
        self.posting_weights = self.table("posting_weights", _at_least_one(weights, 0.0))


def _words_of(titles: np.ndarray, most: int) -> tuple[Ints, Ints]:
    """Return the hashes of the first words of `titles` `[titles]`, and the title of each, `[words]` both."""
    starts = range(0, max(len(titles), 1), _TITLES_AT_ONCE)
    parts = [split_words(tf.constant(titles[start : start + _TITLES_AT_ONCE], tf.string), most) for start in starts]
    lengths = np.concatenate([part.row_lengths().numpy() for part in parts])
    return np.concatenate([part.flat_values.numpy() for part in parts]), np.repeat(np.arange(len(titles)), lengths)


def _at_least_one(values: np.ndarray, blank: float) -> np.ndarray:
    return values if len(values) else np.array([blank], values.dtype)
