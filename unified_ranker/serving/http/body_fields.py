"""Types of the fields of HTTP bodies: identifiers, texts and times, with their limits."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from unified_ranker.core.ids import MOST_ID_BYTES, fits_in_key
from unified_ranker.core.numbers import is_bounded
from unified_ranker.core.times import MICROSECONDS
from unified_ranker.log.column_types import LAST_SECOND

MAX_QUERY = 512
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_seconds(value: Any) -> int:
    """Turn a time of a request into seconds since 1970 UTC, rounded down; see `to_microseconds`."""
    return to_microseconds(value) // MICROSECONDS


def to_microseconds(value: Any) -> int:
    """Turn a time of a request into microseconds since 1970 UTC, rounded down.

    Args:
        value: epoch seconds, or ISO 8601 text; without an offset it is UTC.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise _not_a_time("Input should be a time in ISO 8601, such as 2026-01-31T12:00:00Z") from error
        # By integers, because `timestamp()` rounds the last microseconds of a far second up to the next.
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
        seconds, fraction = divmod(value // timedelta(microseconds=1), MICROSECONDS)
    else:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _not_a_time("Input should be a time: ISO 8601 text, or seconds since 1970")
        seconds = int(value) if is_bounded(value, 1, LAST_SECOND) else 0
        fraction = int((value - seconds) * MICROSECONDS) if seconds else 0
    if not 1 <= seconds <= LAST_SECOND:
        raise _not_a_time("Input should be a time from 1970 to 9999; numbers are seconds, not milliseconds")
    return seconds * MICROSECONDS + fraction


def _in_bytes(name: str) -> str:
    if not fits_in_key(name):
        raise PydanticCustomError("id", "Input should have at most {most} bytes in UTF-8", {"most": MOST_ID_BYTES})
    return name


def _not_a_time(message: str) -> PydanticCustomError:
    return PydanticCustomError("time", "{message}", {"message": message})


# Every text has a length limit, because only then pydantic refuses half of a surrogate pair, which has no UTF-8.
Name = Annotated[str, Field(max_length=MOST_ID_BYTES), AfterValidator(_in_bytes)]
ItemId = Annotated[str, Field(min_length=1, max_length=MOST_ID_BYTES), AfterValidator(_in_bytes)]
Query = Annotated[str, Field(max_length=MAX_QUERY)]
_TIME_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "number", "minimum": 1, "maximum": LAST_SECOND},
        ],
        "description": "ISO 8601, UTC where it names no offset; or seconds since 1970.",
        "examples": ["2026-01-31T12:00:00Z"],
    }
)
Timestamp = Annotated[int, BeforeValidator(to_seconds), _TIME_SCHEMA]
ExactTime = Annotated[int, BeforeValidator(to_microseconds), _TIME_SCHEMA]
