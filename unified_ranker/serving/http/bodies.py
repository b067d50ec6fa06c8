"""Bodies of the requests and answers of the HTTP API."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.numbers import MOST_POSITION, MOST_STRENGTH
from unified_ranker.core.request import History, Request
from unified_ranker.core.times import MICROSECONDS
from unified_ranker.log.column_types import COUNTRY_CODE
from unified_ranker.serving.backends.base import STATE_AVAILABLE
from unified_ranker.serving.http.body_fields import MAX_QUERY, ExactTime, ItemId, Name, Query, Timestamp
from unified_ranker.serving.service.ranking_service import Recommendation

MAX_HISTORY = 1000
MAX_LIMIT = 500
MAX_EVENTS = 500
_MAX_LIST = 64
_MAX_UNKNOWN = 10
"""Most unknown fields of an object that are named; one with more is refused without a look at them."""
_MAX_FIELDS = 1000
"""Most fields of an item."""
TOO_MANY_FIELDS = "too_many_fields"
"""Type of pydantic's error about an object of too many fields."""


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _of_few_fields(given: Any, most: int) -> Any:
    """Return a JSON value as it is, unless it is an object of more than `most` fields: each would become an error."""
    if isinstance(given, dict) and len(given) > most:
        raise PydanticCustomError(TOO_MANY_FIELDS, "Input should have at most {most} fields", {"most": most})
    return given


class _Body(BaseModel):
    """Base of the bodies of requests: unknown fields and other types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, given: Any) -> Any:
        return _of_few_fields(given, len(cls.model_fields) + _MAX_UNKNOWN)


class HistoryEvent(_Body):
    """One thing that the user did to an item."""

    item_id: ItemId
    timestamp: Timestamp
    event_type: Name | None = None
    task: Name | None = None
    value: Annotated[
        float | None,
        Field(ge=-MOST_STRENGTH, le=MOST_STRENGTH, description="Graded strength, such as a rating or a log price."),
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
    country: Annotated[str | None, Field(pattern=f"^{COUNTRY_CODE}$", description="ISO 3166 alpha-2.")] = None
    history: Annotated[
        list[HistoryEvent] | None,
        Field(
            max_length=MAX_HISTORY,
            fail_fast=True,
            description="Events of the user, in any order. null: those that the service has stored; []: none.",
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
    quality: Annotated[dict[str, float], Field(description="Features of the item's quality vector, as stored.")] = {}


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
    label: Annotated[str, Field(description="The label that answered: stable, or canary for a share of the users.")] = (
        "stable"
    )

    @classmethod
    def of(cls, request_id: str, task: str, made: Recommendation) -> "RecommendResponse":
        """Return the body of an answer of the service."""
        return cls(
            request_id=request_id,
            release=made.release,
            task=task,
            imputed_query=made.answer.imputed_query,
            items=[RecommendedItem(**asdict(item)) for item in made.answer.items],
            degraded=made.degraded,
            timings_ms=made.timings_ms,
            label=made.label,
        )


class ReportedEvent(_Body):
    """One thing that a user did to an item."""

    user_id: Annotated[Name | None, Field(description="null: an anonymous user, whose events make no history.")]
    item_id: ItemId
    task: Annotated[ItemId, Field(description="The surface on which it was done.")]
    event_type: ItemId
    timestamp: Annotated[ExactTime | None, Field(description="When it was done; null: now.")] = None
    event_id: Annotated[
        Name | None,
        Field(description="Your id of the event, unique among those of its user. Sent twice, it is stored once."),
    ] = None
    value: Annotated[float | None, Field(ge=-MOST_STRENGTH, le=MOST_STRENGTH)] = None
    query: Annotated[Query | None, Field(description="What had been typed.")] = None
    source_item_id: Annotated[Name | None, Field(description="The item that the user looked at.")] = None
    country: Annotated[str | None, Field(pattern=f"^{COUNTRY_CODE}$")] = None
    request_id: Annotated[Name | None, Field(description="Of the answer that showed the item.")] = None
    position: Annotated[int | None, Field(ge=0, le=MOST_POSITION, description="Where in that answer, from 0.")] = None

    def to_event(self, now: int) -> Event:
        """Return the event in the form of the store; `now` is in microseconds.

        Of a known user, events without a time that are equal within a second are one that was sent twice. Of anonymous
        users they are several.
        """
        seconds, fraction = divmod(now if self.timestamp is None else self.timestamp, MICROSECONDS)
        return Event(
            user_id=self.user_id or "",
            item_id=self.item_id,
            task=self.task,
            event_type=self.event_type,
            timestamp=seconds,
            value=self.value,
            query=self.query or "",
            source_item_id=self.source_item_id or "",
            country=self.country or "",
            request_id=self.request_id or "",
            position=self.position,
            event_id=self.event_id or "",
            microsecond=0 if self.timestamp is None and self.user_id else fraction,
        )


class EventsRequest(_Body):
    """Events to store; retries are safe.

    An event that is sent twice is stored once: one with the same `event_id`, or without an id one that is equal in
    every field. Equal events of anonymous users in one request are several; without ids, send the same request again.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "events": [
                        {"user_id": "42", "item_id": "50", "task": "home_feed", "event_type": "rating", "value": 5}
                    ]
                }
            ]
        }
    )

    events: Annotated[list[ReportedEvent], Field(min_length=1, max_length=MAX_EVENTS, fail_fast=True)]


class EventWarning(BaseModel):
    """Something that the release does not know of some events, which are stored all the same."""

    field: Annotated[str, Field(description="Field of the first of them, such as events.3.item_id.")]
    message: str
    events: Annotated[int, Field(description="Number of the request's events with this fault.")]


class EventsResponse(BaseModel):
    """Answer when the events are stored, and count from the next request on."""

    accepted: Annotated[int, Field(description="Number of events in the request.")]
    new: Annotated[int, Field(description="Number of them that were not stored before.")]
    warnings: Annotated[
        list[EventWarning], Field(description="What the release does not know of them; the first ten kinds.")
    ] = []


class ItemRequest(BaseModel):
    """An item's fields: those below, and the columns of the project's items table that the model reads.

    A whole item has its title and each of the columns, null for what it does not have. A patch has those that change.
    """

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        frozen=True,
        json_schema_extra={"examples": [{"title": "The newest", "categories": ["space"]}, {"available": False}]},
    )

    @model_validator(mode="before")
    @classmethod
    def _few(cls, given: Any) -> Any:
        return _of_few_fields(given, _MAX_FIELDS)

    title: Annotated[str | None, Field(max_length=MAX_QUERY)] = None
    created_at: Timestamp | None = None
    countries: Annotated[
        list[Annotated[str, Field(pattern=f"^{COUNTRY_CODE}$")]] | None,
        Field(max_length=300, fail_fast=True, description="Where it is offered; null or none: everywhere."),
    ] = None
    available: Annotated[bool | None, Field(description="false: it is not shown.")] = None

    def fields(self) -> dict[str, Any]:
        """Return the given fields, None for null.

        Raises:
            UserError: a further field is too long.
        """
        out = self.model_dump(exclude_unset=True)
        for name, value in (self.__pydantic_extra__ or {}).items():
            texts = value if isinstance(value, list) else [value]
            if len(texts) > _MAX_LIST or any(isinstance(t, str) and len(t) > MAX_QUERY for t in texts):
                raise UserError(
                    f"`{name[:MAX_QUERY]}` must be at most {_MAX_LIST} values of {MAX_QUERY} characters. Shorten it."
                )
            for text in (t for t in (name, *texts) if isinstance(t, str)):
                if not _is_utf8(text):
                    raise UserError("a text must be UTF-8. Received: half of a surrogate pair. Correct it.")
        return out


class ItemResponse(BaseModel):
    """An item as the service knows it."""

    item_id: str
    title: str
    release: int
    live: Annotated[bool, Field(description="Whether it was added or changed since the release was written.")]


class ItemChanged(BaseModel):
    """Answer when the change is in the index, and counts from the next request on."""

    item_id: str
    change: str


class ReloadRequest(_Body):
    """Request to answer from another release."""

    release: Annotated[int | None, Field(ge=1, le=10**9, description="Its number; null: the newest.")] = None
    label: Annotated[Literal["stable", "canary"], Field(description="canary: for a share of the users.")] = "stable"
    share: Annotated[float, Field(ge=0, le=1, description="Of the users, for a canary.")] = 0.05


class RollbackRequest(_Body):
    """Request to return to the previous release."""

    label: Literal["stable", "canary"] = "stable"


class SwapResponse(BaseModel):
    """Answer to a reload or rollback: the release that is now in service."""

    label: str
    release: int | None
    previous: int | None
    seconds: float


class EngagementEvent(BaseModel):
    """An event that a task counts as engagement."""

    event_type: str
    min_value: float | None


class ReleaseResponse(BaseModel):
    """Releases that the service answers from."""

    release: int
    items: int
    tasks: dict[str, str]
    heads: list[str]
    quality: list[str]
    likes: Annotated[dict[str, EngagementEvent], Field(description="By task, the event that it counts as engagement.")]
    countries: Annotated[list[str], Field(description="Those that items name, or else those of users.")]
    labels: dict[str, int]
    releases: list[int]


class UsersResponse(BaseModel):
    """Users that have a history."""

    users: list[str]


class HealthResponse(BaseModel):
    """Answer while the process is alive."""

    status: Annotated[str, Field(description="ok; degraded: answers come from lower rungs of the ladder.")] = "ok"
    model: Annotated[str, Field(description="State of the model a second ago: AVAILABLE, or why it is not.")] = (
        STATE_AVAILABLE
    )


class Readiness(BaseModel):
    """Answer when the model server has the release's version AVAILABLE."""

    status: str = "ready"
    release: int


class FieldError(BaseModel):
    """Error of one field."""

    field: Annotated[str, Field(description="Where it is in the body, such as history.3.timestamp; body for all.")]
    message: str


class ErrorResponse(BaseModel):
    """Body of every error."""

    error: str
    request_id: str
    details: Annotated[
        list[FieldError],
        Field(description="The fields at fault, the first ten; of a list, those of its first entry that has one."),
    ] = []


def error_body(message: str, request_id: str, details: Sequence[FieldError] = ()) -> bytes:
    """Return the body of an error, in plain ASCII, so that it can repeat any received text."""
    body = ErrorResponse(error=message, request_id=request_id, details=list(details))
    return json.dumps(body.model_dump()).encode()
