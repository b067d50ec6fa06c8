"""Request: the one unified input, and its form as inputs of the served model."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import Arrays, Floats, Ints, Strings
from unified_ranker.core.windows import Windows, last_events, whole_seconds

TEXT_FIELD, TIME_FIELD, VALUE_FIELD = np.dtype(object), np.dtype(np.int64), np.dtype(np.float32)
REQUEST_FIELDS: Mapping[str, np.dtype] = {
    "user_id": TEXT_FIELD,
    "task": TEXT_FIELD,
    "query": TEXT_FIELD,
    "source_item_id": TEXT_FIELD,
    "query_item_id": TEXT_FIELD,
    "country": TEXT_FIELD,
    "timestamp": TIME_FIELD,
}
"""Inputs of the served model about a request, `[batch]`, with their types; "" and 0 stand for absent."""
EVENT_FIELDS: Mapping[str, np.dtype] = {
    "item_id": TEXT_FIELD,
    "event_type": TEXT_FIELD,
    "task": TEXT_FIELD,
    "timestamp": TIME_FIELD,
    "value": VALUE_FIELD,
}
"""Fields of the events of its history: inputs `[batch, events]` under the names that `history_input` gives."""


STATE_PREFIX = "state_"
"""Prefix of the outputs of `encode` that `rank_encoded` takes."""


def history_input(field: str) -> str:
    """Return the name of the input that holds a field of the history."""
    return f"history_{field}"


def blank(kind: np.dtype) -> str | int:
    """Return the value that stands for absent in a type: "" or 0."""
    return "" if kind == TEXT_FIELD else 0


@dataclass(frozen=True, eq=False)
class History:
    """History of a user, as columns `[events]`, oldest first; `timestamp` in seconds, `value` 0 where absent."""

    item_id: Strings
    event_type: Strings
    task: Strings
    timestamp: Ints
    value: Floats

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.item_id)

    def take(self, rows: npt.NDArray | slice) -> "History":
        """Return the events at `rows`."""
        return History(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def before(self, timestamp: int) -> "History":
        """Return the events strictly before a time in seconds; all of them for 0, which means now."""
        # The usual case copies nothing.
        if not timestamp or not len(self) or self.timestamp[-1] < timestamp:
            return self
        return self.take(self.timestamp < timestamp)

    def of_types(self, event_types: Collection[str] | None) -> "History":
        """Return the events of these types, and those whose type is not known; all of them for None."""
        if event_types is None:
            return self
        return self.take(np.isin(self.event_type, ["", *event_types]))

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> "History":
        """Build from records with these fields, in any order of time; an absent field is "" or 0."""
        rows = sorted(events, key=lambda e: int(e["timestamp"]))
        names = ("item_id", "event_type", "task")
        text = {n: np.array([str(e.get(n) or "") for e in rows], object) for n in names}
        times = np.array([int(e["timestamp"]) for e in rows], np.int64)
        return cls(**text, timestamp=times, value=np.array([float(e.get("value") or 0) for e in rows], np.float32))

    @classmethod
    def joined(cls, histories: Sequence["History"]) -> "History":
        """Return the concatenation of histories."""
        parts = [NO_HISTORY, *histories]
        return cls(**{f.name: np.concatenate([getattr(h, f.name) for h in parts]) for f in fields(cls)})


NO_HISTORY = History.of([])


@dataclass(frozen=True, eq=False)
class Request:
    """The unified input of search, more-like-this and home feed: "" and 0 stand for absent fields."""

    user_id: str
    task: str
    query: str = ""
    source_item_id: str = ""
    query_item_id: str = ""
    country: str = ""
    timestamp: int = 0
    limit: int = 0
    history: History = NO_HISTORY


def to_arrays(requests: Sequence[Request], history_length: int, event_types: Collection[str] | None = None) -> Arrays:
    """Return a batch of requests as inputs of the served model.

    Only the last `history_length` events of the `event_types` are sent, in whole seconds; the graph would cut the rest
    anyway.
    """
    known = [request.history.before(request.timestamp).of_types(event_types) for request in requests]
    count = np.array([len(history) for history in known], np.int64)
    events, end = History.joined(known), np.cumsum(count)
    windows = last_events(end, whole_seconds(end, count, history_length, events.timestamp))
    given = {name: [getattr(request, name) for request in requests] for name in REQUEST_FIELDS}
    return model_inputs(len(requests), given, windows, events.take(windows.rows))


def state_arrays(outputs: Arrays) -> Arrays:
    """Return those outputs of `encode` that `rank_encoded` takes."""
    return {name: value for name, value in outputs.items() if name.startswith(STATE_PREFIX)}


def model_inputs(requests: int, given: Mapping[str, Any], windows: Windows, events: History) -> Arrays:
    """Return the inputs of the served model.

    Args:
        requests: how many there are.
        given: values by name of `REQUEST_FIELDS`: `[requests]`, or one for all; the others are blank.
        windows: the history of each request.
        events: at the windows' `rows`.
    """
    out: Arrays = {}
    for name, kind in REQUEST_FIELDS.items():
        out[name] = np.empty(requests, kind)
        out[name][:] = given.get(name, blank(kind))
    for name, kind in EVENT_FIELDS.items():
        out[history_input(name)] = windows.pad(getattr(events, name).astype(kind, copy=False), blank(kind))
    return out
