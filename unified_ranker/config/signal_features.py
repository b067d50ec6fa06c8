"""Signals: what links a request to a candidate beyond their vectors."""

from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration


class Lexical(Declaration):
    """BM25 of the query (typed or imputed) over titles."""

    type: Literal["lexical"]
    max_words: int = Field(16, ge=1)
    """Words of a query and of a title that are read."""
    postings: int = Field(500, ge=1)
    """Titles that are looked at for one word, the best of it first."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class SourcePairs(Declaration):
    """How often a candidate was chosen from the request's source item, and the other way round."""

    type: Literal["source_pairs"]
    neighbours: int = Field(100, ge=1)
    """Strongest partners that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class Successions(Declaration):
    """How often a candidate followed each of the user's last items."""

    type: Literal["successions"]
    window: int = Field(5, ge=1)
    """Last items of the user that are looked at, and events within which a successor counts."""
    neighbours: int = Field(50, ge=1)
    """Strongest successors that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class SourceWalks(Declaration):
    """Probability that a walk of one or two steps over pairs of source and chosen item leads to a candidate."""

    type: Literal["source_walks"]
    neighbours: int = Field(200, ge=1)
    """Strongest partners that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class Repeats(Declaration):
    """How often the candidate is among the user's last events, and there beside the source item."""

    type: Literal["repeats"]
    window: int = Field(1000, ge=1)
    """Last events of the user that are read."""
    reach: int = Field(3, ge=1)
    """Events before and after each occurrence of the source item that count as beside it."""
    candidates: int = Field(20, ge=0)
    """Candidates that it proposes."""


SignalFeature = Annotated[Lexical | SourcePairs | SourceWalks | Successions | Repeats, Field(discriminator="type")]
