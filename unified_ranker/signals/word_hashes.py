"""Words and character n-grams of titles and queries as hashes, by stock TensorFlow ops."""

from __future__ import annotations

import numpy as np

from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.words import character_ngrams, clean

_CHARACTERS = 4


def split_words(text: tf.Tensor, most: int) -> tf.RaggedTensor:
    """Return the first `most` words of strings `[n]` as 62-bit hashes, `[n, (words)]`."""
    words = tf.strings.split(clean(text))[:, :most]
    return tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, words, 2**62)


def word_and_ngram_hashes(text: tf.Tensor, most_words: int, most_ngrams: int) -> tf.Tensor:
    """Return the first words and the first n-grams of four characters as hashes, `[n, most_words + most_ngrams]`.

    An n-gram that is spelled like a word is the same hash; -1 where a text has fewer.
    """
    words = split_words(text, most_words)
    ngrams = character_ngrams(clean(text), _CHARACTERS)[:, :most_ngrams]
    hashed = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, ngrams, 2**62)
    both = [
        part.to_tensor(MISSING, shape=[None, width]) for part, width in ((words, most_words), (hashed, most_ngrams))
    ]
    return tf.concat(both, 1)


def vocabulary_of(hashes: Ints) -> Ints:
    """Return the table that `rows_of` looks up in, for hashes in ascending order `[n]`, `[n + 1]`."""
    # One more than all hashes, so that every look-up finds an index.
    return np.append(hashes, np.iinfo(np.int64).max)


def rows_of(hashes: tf.Tensor, vocabulary: tf.Variable) -> tf.Tensor:
    """Return the rows of hashes of any shape in a vocabulary; -1 for unknown ones."""
    flat = tf.reshape(hashes, [-1])
    # Read once: a variable that a gather has read directly is copied by every other read.
    sorted_hashes = tf.convert_to_tensor(vocabulary)
    index = tf.searchsorted(sorted_hashes, flat, out_type=tf.int64)
    known = tf.gather(sorted_hashes, index) == flat
    return tf.reshape(tf.where(known, index, tf.constant(MISSING, tf.int64)), tf.shape(hashes))
