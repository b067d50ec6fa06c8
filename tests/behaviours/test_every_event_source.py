"""Behaviours of every source of events: each event is told until it is kept, and then never again."""

import pandas as pd
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.places import DIRECTORY
from unified_ranker.events.base import EVENT_SOURCES
from unified_ranker.events.feed import EventFeed
from unified_ranker.events.open_histories import open_event_source, open_history_store


def write_parquet(place, name, events):
    frame = pd.DataFrame(
        {
            **{f: [getattr(e, f) for e in events] for f in ("user_id", "item_id", "task", "event_type")},
            "timestamp": pd.to_datetime([e.timestamp for e in events], unit="s", utc=True),
            "value": pd.array([e.value for e in events], "Float64"),
        }
    )
    frame.to_parquet(place / f"{name}.parquet")


WRITERS = {DIRECTORY: write_parquet}
"""What writes events where a source finds them, by its scheme; a source that is registered needs one here, too."""


@pytest.fixture(params=list(EVENT_SOURCES))
def incoming(request, tmp_path):
    """A place without events, and what writes some there."""
    directory = tmp_path / "incoming"
    directory.mkdir()
    write = WRITERS[request.param]
    place = str(directory) if request.param == DIRECTORY else f"{request.param}://{directory}"
    return place, lambda name, *events: write(directory, name, events)


def event(item="i", user="u", time=1000, **more):
    return Event(user, item, "home_feed", "click", time, **more)


def everything(source):
    """What a source tells, each part acknowledged."""
    told = []
    while part := source.new():
        told += part
        source.done()
    return told


def test_events_are_told_as_they_were_written(incoming, tmp_path):
    place, write = incoming
    source = open_event_source(place, tmp_path / "seen.json")
    assert source.new() == []
    events = [event("a", value=4.5), event("b", user="", time=7)]
    write("first", *events)
    assert everything(source) == events


def test_what_was_not_acknowledged_is_told_again(incoming, tmp_path):
    place, write = incoming
    source = open_event_source(place, tmp_path / "seen.json")
    write("first", event("a"))
    assert [e.item_id for e in source.new()] == ["a"]
    assert [e.item_id for e in source.new()] == ["a"]
    again = open_event_source(place, tmp_path / "seen.json")
    assert [e.item_id for e in again.new()] == ["a"]


def test_what_was_acknowledged_is_never_told_again_nor_to_another_process(incoming, tmp_path):
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


# --- directories of Parquet ---------------------------------------------------------------------------------------


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
