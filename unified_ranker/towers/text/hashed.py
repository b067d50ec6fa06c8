"""Text encoder `hashed`: words and character n-grams in a table of hash buckets."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.towers.text.base import TEXT_ENCODERS, TextEncoder, TextEncoding


class Hashing(TextEncoding):
    """Settings of the encoders that hash words and character n-grams."""

    buckets: int = Field(32768, ge=64)
    """Rows of the table of trained vectors; words that share a row are one word."""
    max_words: int = Field(16, ge=1)
    """Words of a text that are read."""
    character_ngram: int = Field(4, ge=0, le=8)
    """Characters in an n-gram; 0: none."""
    max_ngrams: int = Field(48, ge=0)
    """Character n-grams of a text that are read."""

    def build(self, dim: int, titles: np.ndarray) -> TextEncoder:
        """See `TextEncoding.build`."""
        from unified_ranker.towers.text.hashed_encoder import HashedTextEncoder

        return HashedTextEncoder(dim, titles, self.buckets, self.max_words, self.character_ngram, self.max_ngrams)


@TEXT_ENCODERS.declare
class HashedText(Hashing):
    """Words and character n-grams hashed to `buckets` trained vectors (stock ops only)."""

    type: Literal["hashed"] = "hashed"
