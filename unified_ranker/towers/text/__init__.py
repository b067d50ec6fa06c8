"""The text encoder that titles and queries share, of the declared kind."""

import numpy as np

from unified_ranker.config import TextEncoding, TransformerText
from unified_ranker.towers.text.base import TextEncoder, Tokens

__all__ = ["TextEncoder", "Tokens", "build_text_encoder"]


def build_text_encoder(config: TextEncoding, dim: int, titles: np.ndarray) -> TextEncoder:
    """Build the declared encoder for vectors of `dim`; `titles` `[n]` are those of the fit window.

    A `distilled` encoder is the hashed graph: what sets it apart is how it is trained.

    Raises:
        UserError: when packages that the kind needs are not installed.
    """
    if isinstance(config, TransformerText):
        from unified_ranker.towers.text.transformer_text import TransformerTextEncoder

        return TransformerTextEncoder(config, dim)
    from unified_ranker.towers.text.hashed_text import HashedTextEncoder

    return HashedTextEncoder(config, dim, titles)
