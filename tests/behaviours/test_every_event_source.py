"""Behaviours of every source of events: each event is returned until it is confirmed, and then never again."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import own_extensions
import pandas as pd
import pyarrow as pa
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.places import DIRECTORY, scheme_of
from unified_ranker.core.times import DAY
from unified_ranker.events.base import EVENT_SOURCES
from unified_ranker.events.feed import EventFeed
from unified_ranker.events.open_histories import open_event_source, open_history_store
from unified_ranker.events.parquet_events import events_of
from unified_ranker.events.refused_records import RefusedRecords

REGISTRY = EVENT_SOURCES
EXTENSION, SCHEME = "json_lines", "jsonl"


def write_parquet(place, name, events):
    frame = pd.DataFrame(
        {
            **{f: [getattr(e, f) for e in events] for f in ("user_id", "item_id", "task", "event_type")},
            "timestamp": pd.to_datetime([e.timestamp for e in events], unit="s", utc=True),
            "value": pd.array([e.value for e in events], "Float64"),
        }
    )
    frame.to_parquet(place / f"{name}.parquet")


@pytest.fixture
def incoming(place, extensions):
    """A place without events, and what writes some there: for a source of somebody else, its `write_events`."""
    if scheme_of(place) == DIRECTORY:
        Path(place).mkdir()
        return place, lambda name, *events: write_parquet(Path(place), name, events)
    write = own_extensions.brought(extensions, "write_events")
    assert write is not None, f"no extension has a function `write_events(place, events)` for `{place}`"
    return place, lambda name, *events: write(place, list(events))


def event(item="i", user="u", time=1000, **more):
    return Event(user, item, "home_feed", "click", time, **more)


def everything(source):
    """What a source returns, each part confirmed."""
    found = []
    while part := source.new():
        found += part
        source.done()
    return found


def test_events_are_returned_as_they_were_written(incoming, tmp_path):
    place, write = incoming
    source = open_event_source(place, tmp_path / "seen.json")
    assert source.new() == []
    events = [event("a", value=4.5), event("b", user="", time=7)]
    write("first", *events)
    assert everything(source) == events


def test_what_was_not_confirmed_is_returned_again(incoming, tmp_path):
    place, write = incoming
    source = open_event_source(place, tmp_path / "seen.json")
    write("first", event("a"))
    assert [e.item_id for e in source.new()] == ["a"]
    assert [e.item_id for e in source.new()] == ["a"]
    again = open_event_source(place, tmp_path / "seen.json")
    assert [e.item_id for e in again.new()] == ["a"]


def test_what_was_confirmed_is_never_returned_again_nor_to_another_process(incoming, tmp_path):
    place, write = incoming
    write("first", event("a"))
    write("second", event("b"))
    source = open_event_source(place, tmp_path / "seen.json")
    assert {e.item_id for e in everything(source)} == {"a", "b"}
    write("third", event("c"))
    again = open_event_source(place, tmp_path / "seen.json")
    assert [e.item_id for e in everything(again)] == ["c"]
    assert everything(again) == []


def test_a_feed_brings_them_into_a_store_once(incoming, tmp_path):
    place, write = incoming
    histories = open_history_store(str(tmp_path / "store"))
    feed = EventFeed(open_event_source(place, tmp_path / "seen.json"), histories)
    write("first", event("a", time=1), event("b", time=2))
    write("second", event("b", time=2), event("c", time=3))
    assert feed.poll() == 3
    assert feed.poll() == 0
    assert histories.before("u", 0).item_id.tolist() == ["a", "b", "c"]
    histories.close()


def test_a_feed_quarantines_what_no_store_takes_counts_it_and_goes_on(incoming, tmp_path):
    place, write = incoming
    histories = open_history_store(str(tmp_path / "store"))
    kept = RefusedRecords(tmp_path / "quarantine.jsonl")
    feed = EventFeed(open_event_source(place, tmp_path / "seen.json"), histories, kept, clock=lambda: 5_000)
    write("first", event("a", time=1), event("b", user="\u00fc" * 241, time=2), event("c", time=5_001 + DAY))
    write("second", event("d" * 481, time=2), event("e", time=-3), event("f", value=1e10), event("g", time=4))
    assert (feed.poll(), kept.count, feed.poll()) == (2, 5, 0)
    assert histories.before("u", 0).item_id.tolist() == ["a", "g"]
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    fields = [reason.split("`")[1] for reason in reasons]
    assert fields == ["user_id", "timestamp", "item_id", "timestamp", "value"]
    histories.close()


# --- directories of Parquet ---------------------------------------------------------------------------------------


def test_every_field_of_an_event_is_read_from_a_table(tmp_path):
    """Also those that no history holds: events that differ in them are two."""
    full = Event("u", "i", "search", "click", 1000, 2.5, "red", "s", "GB", "r", 3, "e", 250_000)
    rows = [
        {**asdict(full), "timestamp": 1000 * 10**6 + 250_000},
        {**asdict(full), "timestamp": None, "position": None},
    ]
    table = pa.Table.from_pylist(rows)
    stamps = table["timestamp"].cast(pa.timestamp("us", "UTC"))
    read = events_of(table.drop_columns(["timestamp", "microsecond"]).append_column("timestamp", stamps), tmp_path)
    assert read == [full, replace(full, timestamp=0, microsecond=0, position=None)]


SECONDS = {
    "text": (["2024-01-01T00:00:00.5Z", "soon", None, "9" * 400], 1_704_067_200, 500_000),
    "whole numbers": ([1_704_067_200, 1_704_067_200_000, None, -(2**63)], 1_704_067_200, 0),
    "fractional numbers": ([1_704_067_200.0, math.inf, math.nan, 1e300], 1_704_067_200, 0),
}


@pytest.mark.parametrize("kind", SECONDS)
def test_a_row_that_has_no_time_does_not_keep_the_others_out(tmp_path, kind):
    times, second, fraction = SECONDS[kind]
    rows = [{"user_id": "u", "item_id": "i", "task": "t", "event_type": "click", "timestamp": time} for time in times]
    read = events_of(pa.Table.from_pylist(rows), tmp_path)
    assert [(one.timestamp, one.microsecond) for one in read] == [(second, fraction), (0, 0), (0, 0), (0, 0)]
    assert [one.fault(second) is None for one in read] == [True, False, False, False]


def test_a_table_without_a_row_is_passed_over_for_good(tmp_path):
    directory = tmp_path / "incoming"
    directory.mkdir()
    write_parquet(directory, "a", [])
    write_parquet(directory, "b", [event("b")])
    source = open_event_source(str(directory), tmp_path / "seen.json")
    assert [e.item_id for e in everything(source)] == ["b"]
    assert (tmp_path / "seen.json").read_text() == '["a.parquet", "b.parquet"]'


def test_a_table_that_is_being_written_is_looked_at_again(tmp_path):
    directory = tmp_path / "incoming"
    directory.mkdir()
    (directory / "a.parquet").write_bytes(b"PAR1 and")
    source = open_event_source(str(directory), tmp_path / "seen.json")
    assert source.new() == []
    write_parquet(directory, "a", [event("a")])
    assert [e.item_id for e in source.new()] == ["a"]
    (directory / "b.parquet").write_bytes(b"nonsense")
    source.done()
    assert source.new() == []
    with pytest.raises(UserError, match="cannot be read as Parquet, and does not grow"):
        source.new()


def test_a_place_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="must be a directory of Parquet tables"):
        open_event_source(str(tmp_path / "nowhere"), tmp_path / "seen.json")
    with pytest.raises(UserError, match="unknown source of events `ftp`"):
        open_event_source("ftp://here", tmp_path / "seen.json")
