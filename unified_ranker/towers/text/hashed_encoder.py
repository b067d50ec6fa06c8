"""Layer of the hashed text encoder."""

import numpy as np

from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import TextEncoder, Tokens
from unified_ranker.towers.text.words import character_ngrams, clean

NGRAM_WEIGHT = 0.3
"""Weight of an n-gram (a word has 1): a word has several n-grams, which together should count about as much."""


class HashedTextEncoder(TextEncoder, tf.keras.layers.Layer):
    """Weighted sum of trained vectors of a text's words and character n-grams.

    Words and n-grams share one table of hash buckets, so a word that training never saw still gets a vector, the same
    one in a title as in a query: lexical match works from the first step and for cold items. Every bucket has a
    trained weight, which starts at the inverse document frequency over the catalogue's titles.

    Stock TensorFlow ops only: the same graph runs in training and in TF Serving. The parts of a text are `buckets`, its
    tokens' rows, and `kinds`, the weights of words and n-grams, both `[n, (tokens)]`.
    """

    parts = ("buckets", "kinds")

    def __init__(
        self, dim: int, titles: np.ndarray, buckets: int, max_words: int, character_ngram: int, max_ngrams: int
    ) -> None:
        """Build for vectors of `dim`; for the four numbers see `hashed.Hashing`.

        Weights start at the document frequencies of `titles` `[n]`.
        """
        super().__init__(name="text")
        self.buckets, self.max_words = buckets, max_words
        self.character_ngram, self.max_ngrams = character_ngram, max_ngrams
        self.table = self.add_weight(
            "table", (buckets, dim), initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        )
        idf = _log_idf(self.tokenise(tf.constant(titles, tf.string)).parts["buckets"], buckets)
        self.log_weight = self.add_weight("log_weight", (buckets,), initializer=tf.constant_initializer(idf))

    def tokenise(self, text: tf.Tensor) -> Tokens:
        """Turn strings `[n]` into their tokens."""
        cleaned = clean(text)
        words = tf.strings.split(cleaned)[:, : self.max_words]
        tokens = self._bucket(words)
        kinds = tokens.with_flat_values(tf.ones_like(tokens.flat_values, tf.float32))
        if self.character_ngram and self.max_ngrams:
            grams = self._bucket(character_ngrams(cleaned, self.character_ngram))
            grams = grams[:, : self.max_ngrams]
            weight = grams.with_flat_values(tf.fill(tf.shape(grams.flat_values), NGRAM_WEIGHT))
            tokens, kinds = tf.concat([tokens, grams], 1), tf.concat([kinds, weight], 1)
        return Tokens({"buckets": tokens, "kinds": kinds})

    def _bucket(self, strings: tf.RaggedTensor) -> tf.RaggedTensor:
        return tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, strings, self.buckets)

    def embed(self, tokens: Tokens) -> tf.Tensor:
        """Return unit-length vectors `[n, dim]`; zero for texts without a token."""
        ragged, kinds = (tokens.parts[name] for name in self.parts)
        buckets, splits = ragged.flat_values, ragged.row_splits
        # `value_rowids` would tile every row to the longest, 3 % of what a training step does on MovieLens.
        rows = tf.searchsorted(splits, tf.range(tf.shape(buckets, splits.dtype)[0]), "right", splits.dtype) - 1

        def by_rows() -> tf.Tensor:
            shape = [ragged.nrows(), self.buckets]
            pairs = tf.SparseTensor(tf.stack([rows, buckets], 1), kinds.flat_values, shape)
            return tf.sparse.sparse_dense_matmul(pairs, self.table * tf.exp(self.log_weight)[:, None])

        def by_tokens() -> tf.Tensor:
            weight = tf.exp(tf.gather(self.log_weight, buckets)) * kinds.flat_values
            vectors = tf.gather(self.table, buckets) * weight[:, None]
            return tf.math.unsorted_segment_sum(vectors, rows, ragged.nrows())

        # A catalogue or a training batch has more tokens than the table has rows. Each row is then multiplied by its
        # weight once, and no token needs a vector of its own.
        count = buckets.shape[0]
        if count is None:
            total = tf.cond(tf.size(buckets) > self.buckets, by_rows, by_tokens)
        else:
            total = by_rows() if count > self.buckets else by_tokens()
        return total * tf.math.rsqrt(tf.reduce_sum(total**2, 1, keepdims=True) + 1e-6)


def _log_idf(tokens: tf.RaggedTensor, buckets: int) -> np.ndarray:
    pairs = np.unique(tokens.value_rowids().numpy() * buckets + tokens.flat_values.numpy())
    frequency = np.bincount(pairs % buckets, minlength=buckets)
    documents = int(tokens.nrows())
    idf = np.log(1 + (documents + 1) / (frequency + 1))
    return np.log(idf / idf.max()).astype(np.float32)
