"""Requests as the arrays that the served model takes: from recorded examples, or from rows of a request table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.prepare.examples import MISSING, Examples, Floats, Ints, Strings
from unified_ranker.prepare.prepared import Prepared

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class History:
    """What a user did, as columns `[events]`, oldest first; `timestamp` in seconds, `value` 0 where absent."""

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
        return self.take(self.timestamp < timestamp) if timestamp else self

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> "History":
        """Build from records with these fields, in any order of time; an absent field is "" or 0."""
        rows = sorted(events, key=lambda e: int(e["timestamp"]))
        names = ("item_id", "event_type", "task")
        text = {n: np.array([str(e.get(n) or "") for e in rows], object) for n in names}
        times = np.array([int(e["timestamp"]) for e in rows], np.int64)
        return cls(**text, timestamp=times, value=np.array([float(e.get("value") or 0) for e in rows], np.float32))


NO_HISTORY = History.of([])
BLANKS: dict[str, Any] = {"item_id": "", "event_type": "", "task": "", "timestamp": 0, "value": 0.0}


@dataclass(frozen=True, eq=False)
class Request:
    """The unified input (design section 1): "" and 0 stand for absent fields."""

    user_id: str
    task: str
    query: str = ""
    source_item_id: str = ""
    query_item_id: str = ""
    country: str = ""
    timestamp: int = 0
    limit: int = 0
    history: History = NO_HISTORY


def to_arrays(requests: Sequence[Request], history_length: int) -> Arrays:
    """Return a batch of requests as model inputs: `[batch]`, and history `[batch, events]` padded behind by "" and 0.

    Only the last `history_length` events are sent; the graph would cut the rest anyway.
    """
    names = ("user_id", "task", "query", "source_item_id", "query_item_id", "country")
    out: Arrays = {name: np.array([getattr(r, name) for r in requests], object) for name in names}
    out["timestamp"] = np.array([r.timestamp for r in requests], np.int64)
    kept = [r.history.before(r.timestamp).take(slice(-history_length, None)) for r in requests]
    width = max((len(h) for h in kept), default=0)
    for name, blank in BLANKS.items():
        column = np.full((len(requests), width), blank, getattr(NO_HISTORY, name).dtype)
        for row, history in enumerate(kept):
            column[row, : len(history)] = getattr(history, name)
        out[f"history_{name}"] = column
    return out


def request_arrays(examples: Examples, prepared: Prepared, history_length: int) -> Arrays:
    """Return recorded examples as model inputs, with the history strictly before each."""
    item_ids, histories = prepared.item_ids, prepared.histories
    named = np.append(item_ids, "")
    users = np.append(prepared.user_ids, "")
    lengths = np.minimum(examples.history_length, history_length)
    width = int(lengths.max(initial=0))
    begin = np.where(examples.user == MISSING, 0, histories.offsets[examples.user])
    column = np.arange(width)[None]
    inside = column < lengths[:, None]
    at = np.where(inside, (begin + examples.history_length - lengths)[:, None] + column, 0)

    def pick(values: np.ndarray, blank: object) -> np.ndarray:
        picked = values[at] if len(values) else np.full(at.shape, blank, values.dtype)
        return np.where(inside, picked, np.asarray(blank, values.dtype))

    item = pick(histories.item, MISSING)
    return {
        "user_id": users[examples.user],
        "task": examples.task,
        "query": examples.query,
        "source_item_id": named[examples.source_item],
        "query_item_id": named[examples.query_item],
        "country": examples.country,
        "timestamp": examples.timestamp,
        "history_item_id": named[item],
        "history_event_type": pick(histories.event_type, ""),
        "history_task": pick(histories.task, ""),
        "history_timestamp": pick(histories.timestamp, 0),
        "history_value": pick(histories.value, 0.0),
    }
