"""Text encoders: the one encoder of titles and queries, in every tower; one file a kind."""

from unified_ranker.towers.text import distilled, hashed, transformer
from unified_ranker.towers.text.base import TextEncoder, Tokens

__all__ = ["TextEncoder", "Tokens", "distilled", "hashed", "transformer"]
