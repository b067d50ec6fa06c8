"""The store of events in LMDB: what the disk has, who may write, and what damage does."""

import contextlib
import subprocess
import sys

import orjson
import pytest
from damaged_pages import damage
from stored_events import event, held

from unified_ranker.core.errors import UserError
from unified_ranker.events.base import DamagedStoreError
from unified_ranker.events.event_lines import user_key
from unified_ranker.events.open_histories import open_history_store


def test_lmdb_acknowledges_what_is_on_the_disk(tmp_path):
    """The page cache outlives a killed process and no power cut: only the flags tell them apart in a test."""
    store = open_history_store(str(tmp_path))
    flags = store._env.flags()
    assert (flags["sync"], flags["metasync"], flags["writemap"]) == (True, True, False)
    store.close()


def test_a_second_service_on_one_lmdb_store_is_refused_and_may_have_it_afterwards(tmp_path):
    """Readers may have it all the time, such as `events export` and `refresh`; a killed service leaves no lock."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom unified_ranker.events.lmdb_histories import LmdbStore\n"
        "LmdbStore(Path(sys.argv[1])).serve()\nprint('serving', flush=True)\ntime.sleep(60)"
    )
    service = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert service.stdout.readline() == "serving\n"
        with contextlib.closing(open_history_store(str(tmp_path))) as store:
            with pytest.raises(UserError, match=rf"\(pid {service.pid}\) is serving in `{tmp_path}`.*redis://"):
                store.serve()
            assert store.since("") == []
            service.kill()
            service.wait()
            store.serve()
    finally:
        service.kill()
        service.wait()
        service.stdout.close()


def test_changes_that_a_store_of_earlier_versions_holds_come_first(tmp_path):
    """They had no position."""
    with contextlib.closing(open_history_store(str(tmp_path))) as store:
        old = {"a": ["a", {"title": "A"}], "b": ["b", None]}
        store._submit(
            lambda t: [t.put(user_key(k), orjson.dumps(v), db=store._changes._items) for k, v in old.items()] and 0
        )
        assert held(store.item_changes()) == [("a", {"title": "A"}, False), ("b", None, False)]
        position = store.put_item("a", {"title": "B"}, seen=0)
        assert held(store.item_changes(0)) == [("a", {"title": "B"}, False)]
        assert [c.position for c in store.item_changes()] == [0, position]


READS = {
    "before": lambda store: store.before("u", 0),
    "since": lambda store: store.since(""),
    "users": lambda store: store.users("", 9),
    "item_changes": lambda store: store.item_changes(),
    "ping": lambda store: store.ping(),
}


def damaged_lmdb(place, damage):
    """A store in a directory with events of a user and an item, whose file was changed while it was closed."""
    with contextlib.closing(open_history_store(str(place))) as store:
        store.append([event(item=f"i{n}", time=n + 1) for n in range(400)])
        store.put_item("x", {"title": "X"})
    file = place / "data.mdb"
    file.write_bytes(damage(file.read_bytes()))
    return contextlib.closing(open_history_store(str(place)))


@pytest.mark.parametrize("read", READS)
def test_damaged_pages_are_an_error_of_the_store(tmp_path, read):
    with damaged_lmdb(tmp_path, lambda data: data) as store:
        damage(tmp_path / "data.mdb", sparing=b"histories")
        with pytest.raises(DamagedStoreError, match=r"cannot be read: .*MDB_"):
            READS[read](store)


DAMAGED_LINES = [
    (b'["i7",', b'["i7;,'),
    (b'["i7","click"', b'["i7":"click"'),
    (b'"home_feed",8,null]', b'"home_feed","",nul]'),
    (b'"home_feed",8,null]', b'"home_feed",8 ]    '),
]


@pytest.mark.parametrize(("old", "new"), DAMAGED_LINES)
def test_a_damaged_line_is_an_error_of_its_user_alone(tmp_path, old, new):
    with damaged_lmdb(tmp_path, lambda data: data.replace(old, new)) as store:
        with pytest.raises(DamagedStoreError, match="the store of histories is damaged"):
            store.before("u", 0)
        assert len(store.before("v", 0)) == 0
        assert store.append([event("v")]) == 1
        assert len(store.before("v", 0)) == 1


def test_a_follower_passes_a_damaged_record_of_the_log(tmp_path):
    record = event(item="i7", time=8).record()
    with damaged_lmdb(tmp_path, lambda data: data.replace(record, record.replace(b":", b";"))) as store:
        assert [one.item_id for _, one in store.since("", most=1000)] == [f"i{n}" for n in range(400) if n != 7]
