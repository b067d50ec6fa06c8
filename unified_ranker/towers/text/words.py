"""Words and character n-grams of texts by stock TensorFlow ops, for hashed texts and lexical signals."""

from __future__ import annotations

from unified_ranker.towers.tensorflow import tf

_NO_WORD = r"[^\p{L}\p{M}\p{N}]+"
"""All but letters, their marks (accents, vowels of Indic scripts) and digits."""


def clean(text: tf.Tensor) -> tf.Tensor:
    """Return strings `[n]` in lower case, their words one space apart."""
    return tf.strings.strip(tf.strings.regex_replace(tf.strings.lower(text, encoding="utf-8"), _NO_WORD, " "))


def character_ngrams(cleaned: tf.Tensor, length: int) -> tf.RaggedTensor:
    """Return the n-grams of `length` characters of cleaned texts `[n]`, `[n, (n-grams)]`; `^` is where a word ends."""
    filled = tf.strings.length(cleaned) > 0
    padded = tf.strings.join(["^", tf.strings.regex_replace(cleaned, " ", "^"), "^"])
    letters = tf.strings.unicode_split(tf.where(filled, padded, cleaned), "UTF-8")
    return tf.strings.ngrams(letters, length, separator="")
