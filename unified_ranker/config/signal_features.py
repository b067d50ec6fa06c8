"""Signals: what links a request to a candidate beyond their vectors."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration

SignalNeed = Literal["titles", "source_items", "users"]
"""Part of the log that a signal is made from."""


class SignalDeclaration(Declaration):
    """Common part of every signal's declaration.

    Attributes:
        needs: what `validate` looks for in the log; None for a signal that can be made from any.
    """

    needs: ClassVar[SignalNeed | None] = None


class Lexical(SignalDeclaration):
    """BM25 of the query (typed or imputed) over titles."""

    type: Literal["lexical"]
    needs: ClassVar[SignalNeed | None] = "titles"
    max_words: int = Field(16, ge=1)
    """Words of a query and of a title that are read."""
    postings: int = Field(500, ge=1)
    """Titles that are looked at for one word, the best of it first."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class SourcePairs(SignalDeclaration):
    """Counts of how often a candidate was chosen from the request's source item, and the other way round."""

    type: Literal["source_pairs"]
    needs: ClassVar[SignalNeed | None] = "source_items"
    neighbours: int = Field(100, ge=1)
    """Strongest partners that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class Successions(SignalDeclaration):
    """Counts of how often a candidate followed each of the user's last items."""

    type: Literal["successions"]
    needs: ClassVar[SignalNeed | None] = "users"
    window: int = Field(5, ge=1)
    """Last items of the user that are looked at, and events within which a successor counts."""
    neighbours: int = Field(50, ge=1)
    """Strongest successors that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class SourceWalks(SignalDeclaration):
    """Probability that a walk of one or two steps over pairs of source and chosen item leads to a candidate."""

    type: Literal["source_walks"]
    needs: ClassVar[SignalNeed | None] = "source_items"
    neighbours: int = Field(200, ge=1)
    """Strongest partners that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""


class Repeats(SignalDeclaration):
    """Counts of the candidate among the user's last events, and there beside the source item."""

    type: Literal["repeats"]
    needs: ClassVar[SignalNeed | None] = "users"
    window: int = Field(1000, ge=1)
    """Last events of the user that are read."""
    reach: int = Field(3, ge=1)
    """Events before and after each occurrence of the source item that count as beside it."""
    candidates: int = Field(20, ge=0)
    """Candidates that it proposes."""


SignalFeature = Annotated[Lexical | SourcePairs | SourceWalks | Successions | Repeats, Field(discriminator="type")]
