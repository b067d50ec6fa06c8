"""The bodies of the HTTP API: what a request may hold, and what an answer holds."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from unified_ranker.export.requests import History, Request
from unified_ranker.serving.service.service import Recommendation

MAX_HISTORY = 1000
MAX_LIMIT = 500
_MAX_ID = 256
_MAX_QUERY = 512
_MAX_VALUE = 1e9
_LAST_SECOND = 253_402_300_799  # the end of the year 9999; epoch milliseconds lie beyond it


def to_seconds(value: Any) -> int:
    """Turn a time of a request into seconds since 1970 UTC, rounded down.

    Args:
        value: epoch seconds, or ISO 8601 text; without an offset it is UTC.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise _not_a_time("Input should be a time in ISO 8601, such as 2026-01-31T12:00:00Z") from error
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _not_a_time("Input should be a time: ISO 8601 text, or seconds since 1970")
    if not 1 <= value <= _LAST_SECOND:
        raise _not_a_time("Input should be a time from 1970 to 9999; numbers are seconds, not milliseconds")
    return int(value)


def _not_a_time(message: str) -> PydanticCustomError:
    return PydanticCustomError("time", "{message}", {"message": message})


# Pydantic refuses half of a surrogate pair, which has no UTF-8, where a text has a limit; so every text has one.
Name = Annotated[str, Field(max_length=_MAX_ID)]
ItemId = Annotated[str, Field(min_length=1, max_length=_MAX_ID)]
Query = Annotated[str, Field(max_length=_MAX_QUERY)]
Timestamp = Annotated[
    int,
    BeforeValidator(to_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 1, "maximum": _LAST_SECOND},
            ],
            "description": "ISO 8601, UTC where it names no offset; or seconds since 1970.",
            "examples": ["2026-01-31T12:00:00Z"],
        }
    ),
]


class _Body(BaseModel):
    """Base of what clients send: unknown fields refused, and no type taken for another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HistoryEvent(_Body):
    """One thing that the user did to an item."""

    item_id: ItemId
    timestamp: Timestamp
    event_type: Name | None = None
    task: Name | None = None
    value: Annotated[
        float | None,
        Field(ge=-_MAX_VALUE, le=_MAX_VALUE, description="Graded strength, such as a rating or a log price."),
    ] = None


class RecommendRequest(_Body):
    """A request for ranked items. Unknown users and items are ordinary input."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "42", "task": "search", "query": "space war", "limit": 5}]}
    )

    user_id: Annotated[Name | None, Field(description="null: an anonymous user.")]
    task: Annotated[ItemId, Field(description="The surface: one of the release's tasks.")]
    query: Annotated[Query | None, Field(description="What the user typed.")] = None
    source_item_id: Annotated[Name | None, Field(description="The item that the user looks at.")] = None
    query_item_id: Annotated[Name | None, Field(description="An item that must not be its own answer.")] = None
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$", description="ISO 3166 alpha-2.")] = None
    history: Annotated[
        list[HistoryEvent] | None,
        Field(
            max_length=MAX_HISTORY,
            description="What the user did, in any order. null: what the service knows of the user; []: nothing.",
        ),
    ] = None
    limit: Annotated[int | None, Field(ge=1, le=MAX_LIMIT, description="How many items; null: the task's own.")] = None
    timestamp: Annotated[Timestamp | None, Field(description="When the request is made; null: now.")] = None

    def to_request(self) -> Request:
        """Return the unified input; its history is empty where the body has none."""
        return Request(
            user_id=self.user_id or "",
            task=self.task,
            query=self.query or "",
            source_item_id=self.source_item_id or "",
            query_item_id=self.query_item_id or "",
            country=self.country or "",
            timestamp=self.timestamp or 0,
            limit=self.limit or 0,
            history=History.of(event.model_dump() for event in self.history or ()),
        )


class RecommendedItem(BaseModel):
    """One item of an answer, best first."""

    item_id: str
    title: Annotated[str, Field(description='"" where the catalogue has none.')]
    score: Annotated[float, Field(description="The ranker's; comparable within one answer.")]
    heads: Annotated[dict[str, float], Field(description="Probability of each kind of event.")]
    retrieval_score: Annotated[float, Field(description="Dot product of query vector and item vector.")]


class RecommendResponse(BaseModel):
    """An answer."""

    request_id: str
    release: Annotated[int, Field(description="Number of the release that answered.")]
    task: str
    imputed_query: Annotated[str, Field(description='The query that the answer is for; "" for none.')]
    items: list[RecommendedItem]
    degraded: Annotated[
        str | None, Field(description="The rung of the degradation ladder that answered; null: the full path.")
    ]
    timings_ms: Annotated[
        dict[str, float], Field(description="Milliseconds by stage: encode, retrieve, rank, and total.")
    ]

    @classmethod
    def of(cls, request_id: str, task: str, made: Recommendation) -> "RecommendResponse":
        """Word what the service made."""
        return cls(
            request_id=request_id,
            release=made.release,
            task=task,
            imputed_query=made.answer.imputed_query,
            items=[RecommendedItem(**asdict(item)) for item in made.answer.items],
            degraded=made.degraded,
            timings_ms=made.timings_ms,
        )


class Health(BaseModel):
    """The process is alive."""

    status: str = "ok"


class Readiness(BaseModel):
    """The release is answered from, and the model server has its version AVAILABLE."""

    status: str = "ready"
    release: int


class FieldError(BaseModel):
    """What is wrong with a field."""

    field: Annotated[str, Field(description="Where it is in the body, such as history.3.timestamp; body for all.")]
    message: str


class ErrorResponse(BaseModel):
    """Why there is no answer."""

    error: str
    request_id: str
    details: Annotated[list[FieldError], Field(description="The fields at fault, the first ten of them.")] = []
