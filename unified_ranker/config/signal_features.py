"""Signals: what links a request to a candidate beyond their vectors."""

from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration


class Lexical(Declaration):
    """BM25 of the query (typed or imputed) over titles: the signal of a candidate, and a source of candidates.

    `postings` bounds the titles that are looked at for one word, the best of it first.
    """

    type: Literal["lexical"]
    max_words: int = Field(16, ge=1)
    postings: int = Field(500, ge=1)
    candidates: int = Field(100, ge=0)


class SourcePairs(Declaration):
    """How often a candidate was chosen from the request's source item, and the other way round."""

    type: Literal["source_pairs"]
    neighbours: int = Field(100, ge=1)
    candidates: int = Field(100, ge=0)


class Successions(Declaration):
    """How often a candidate followed each of the user's last `window` items within `window` events."""

    type: Literal["successions"]
    window: int = Field(5, ge=1)
    neighbours: int = Field(50, ge=1)
    candidates: int = Field(100, ge=0)


class SourceWalks(Declaration):
    """How likely a walk of one or two steps over pairs of source and chosen item leads to a candidate."""

    type: Literal["source_walks"]
    neighbours: int = Field(200, ge=1)
    candidates: int = Field(100, ge=0)


class Repeats(Declaration):
    """How often the candidate is among the user's last `window` events, and there next to the source item.

    Next to it are the `reach` events before and after each of its own. `candidates` of these are proposed.
    """

    type: Literal["repeats"]
    window: int = Field(1000, ge=1)
    reach: int = Field(3, ge=1)
    candidates: int = Field(20, ge=0)


SignalFeature = Annotated[Lexical | SourcePairs | SourceWalks | Successions | Repeats, Field(discriminator="type")]
