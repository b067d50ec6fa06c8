"""Words of titles and queries as hashes, by stock TensorFlow ops."""

from __future__ import annotations

from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.words import NO_WORD


def split_words(text: tf.Tensor, most: int) -> tf.RaggedTensor:
    """Return the first `most` words of strings `[n]` as 62-bit hashes, `[n, (words)]`."""
    clean = tf.strings.regex_replace(tf.strings.lower(text, encoding="utf-8"), NO_WORD, " ")
    words = tf.strings.split(tf.strings.strip(clean))[:, :most]
    return tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, words, 2**62)
