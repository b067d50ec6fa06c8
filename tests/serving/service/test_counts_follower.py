"""Counts follower: which events of a store's log are positives, against what `prepare` says of the same log."""

import numpy as np
import pandas as pd

from tests.toys import tiny_world
from tests.toys.log_by_rows import log_of
from unified_ranker.core.event import Event
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.prepare.examples import match_positives
from unified_ranker.serving.service.counts_follower import is_positive

CONFIG = tiny_world.config(home_feed={"positives": [{"event_type": "rating", "min_value": 4}, {"event_type": "buy"}]})
SEED, EVENTS = 5, 200


def events_of_a_few():
    """Events of few users with few items, so that many engagements are repeated ones, some within one second."""
    draw = np.random.default_rng(SEED)
    kinds = [
        *[("search", "click", None), ("", "rating", 5.0)],
        *[("home_feed", "rating", 3.0), ("home_feed", "rating", 5.0), ("home_feed", "buy", None)],
    ]
    for at in range(EVENTS):
        task, kind, value = kinds[draw.integers(len(kinds))]
        user, item = str(draw.choice(["u", "v", ""])), str(draw.choice(list("abc")))
        yield Event(user, item, task or "more_like_this", kind, tiny_world.NOW + at // 40, value, query=str(at % 2))


def test_an_event_is_a_positive_as_prepare_says(tmp_path):
    events = list(dict.fromkeys(events_of_a_few()))
    assert CONFIG.tasks["home_feed"].first_engagement_only
    names = ("item_id", "task", "event_type", "value", "query")
    time = [pd.Timestamp(event.timestamp, unit="s", tz="UTC") for event in events]
    rows = [{name: getattr(event, name) for name in names} | {"user_id": event.user_id or None} for event in events]
    log = log_of([{**row, "timestamp": at} for row, at in zip(rows, time, strict=True)])
    marked = log.events.iloc[match_positives(log, CONFIG.tasks).rows]
    seconds = marked["timestamp"].astype("datetime64[s, UTC]").astype("int64")
    right = zip(
        marked["user_id"].fillna(""), *(marked[name] for name in names[:3]), marked["query"], seconds, strict=True
    )
    store = LmdbStore(tmp_path / "store")
    store.append(events)
    found = [event for event in events if is_positive(CONFIG, event, store)]
    store.close()
    fields = ("user_id", "item_id", "task", "event_type", "query", "timestamp")
    assert sorted(tuple(getattr(event, name) for name in fields) for event in found) == sorted(right)
    engaged = [(event.user_id, event.item_id, event.event_type, event.timestamp) for event in found if event.user_id]
    assert len(set(engaged)) < len(engaged), "two of one second are both the first"
    every = {n: t.model_copy(update={"first_engagement_only": False}) for n, t in CONFIG.tasks.items()}
    assert len(match_positives(log, every).rows) > len(found) > 0


def test_a_damaged_history_does_not_stop_the_counts(tmp_path):
    first = Event("u", "a", "home_feed", "buy", tiny_world.NOW)
    store = LmdbStore(tmp_path / "store")
    store.append([first])
    store.close()
    file = tmp_path / "store" / "data.mdb"
    file.write_bytes(file.read_bytes().replace(first.line(), b";" * len(first.line())))
    store = LmdbStore(tmp_path / "store")
    later = Event("u", "b", "home_feed", "buy", tiny_world.NOW + 5)
    assert is_positive(CONFIG, later, store)
    store.close()
