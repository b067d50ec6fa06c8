"""Requests as the arrays that the served model takes: from recorded examples, or from rows of a request table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unified_ranker.data.examples import MISSING, Examples
from unified_ranker.data.prepared import Prepared

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class HistoryEvent:
    """One event of a request's history; `timestamp` in seconds, `value` 0 where absent."""

    item_id: str
    event_type: str
    task: str
    timestamp: int
    value: float = 0.0


@dataclass(frozen=True)
class Request:
    """The unified input (design section 1): "" and 0 stand for absent fields, history is oldest first."""

    user_id: str
    task: str
    query: str = ""
    source_item_id: str = ""
    query_item_id: str = ""
    country: str = ""
    timestamp: int = 0
    limit: int = 0
    history: tuple[HistoryEvent, ...] = ()


def to_arrays(requests: Sequence[Request], history_length: int) -> Arrays:
    """Return a batch of requests as model inputs: `[batch]`, and history `[batch, events]` padded behind by "" and 0.

    Only the last `history_length` events are sent; the graph would cut the rest anyway.
    """
    names = ("user_id", "task", "query", "source_item_id", "query_item_id", "country")
    out: Arrays = {name: np.array([getattr(r, name) for r in requests], object) for name in names}
    out["timestamp"] = np.array([r.timestamp for r in requests], np.int64)
    kept = [r.history[-history_length:] for r in requests]
    width = max((len(h) for h in kept), default=0)
    blank: dict[str, object] = {"item_id": "", "event_type": "", "task": "", "timestamp": 0, "value": 0.0}
    kinds = {"timestamp": np.int64, "value": np.float32}
    for name, empty in blank.items():
        rows = [[getattr(e, name) for e in h] + [empty] * (width - len(h)) for h in kept]
        column = np.array(rows, kinds.get(name, object)).reshape(len(requests), width)
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
