"""Behaviours of every backend of the store of vectors: LMDB in a directory, a real Redis, and others."""

import json
import multiprocessing
import threading
from dataclasses import replace

import numpy as np
import own_extensions
import pytest
from store_toy import MANIFEST, WIDTH, export, names, notes, seal, unit, write_release

from unified_ranker.core.errors import UserError
from unified_ranker.release.links import BrokenLinkError
from unified_ranker.store import GuardError, Limits, open_store
from unified_ranker.store.base import STORE_BACKENDS
from unified_ranker.store.version_diff import diff
from unified_ranker.vectors.verify_store import verify_store

REGISTRY = STORE_BACKENDS
EXTENSION, SCHEME = "sqlite_store", "sqlite"


@pytest.fixture
def store(place):
    with open_store(place) as opened:
        yield opened


def test_a_vector_comes_back_as_it_was_put(store):
    items, users = unit(20, seed=1), unit(5, seed=2)
    version = export(store, items, users, time=np.int64(1234))
    entry = store.get("item", "item-3")
    np.testing.assert_array_equal(entry.vector, items[3])
    assert (entry.kind, entry.id, entry.time, entry.release, entry.width) == ("item", "item-3", 1234, 7, WIDTH)
    assert (entry.version, entry.cold) == (version, False)
    np.testing.assert_array_equal(store.get("user", "user-4").vector, users[4])
    assert store.get("item", "user-4") is None


def test_many_come_in_the_order_asked_for_and_what_is_not_there_is_nan(store):
    items = unit(20)
    export(store, items)
    batch = store.get_many("item", ["item-9", "nobody", "item-2", "item-9"])
    assert batch.found.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(batch.vectors[[0, 2, 3]], items[[9, 2, 9]])
    assert np.isnan(batch.vectors[1]).all()
    assert batch.time.tolist() == [1000, 0, 1000, 1000]
    assert len(store.get_many("item", [])) == 0


def test_an_id_that_no_store_can_hold_is_refused_when_it_is_written_and_not_found_when_it_is_read(store):
    longest = "\u00fc" * 240
    with store.writing():
        store.publish(seal(store, unit(2), ids={"item": [longest, "b"]}))
    assert store.get("item", longest) is not None
    for wrong in ("", longest + "x", "i" * 10_000):
        with pytest.raises(UserError, match=r"an id must have 1 to 480 bytes in UTF-8\. Received: "):
            store.put_many("item", ["c", wrong], unit(2), 5)
        assert store.get("item", wrong) is None
        assert store.get_many("item", [wrong, "b", longest]).found.tolist() == [False, True, True]
    assert store.get("item", "c") is None, "none of them is written"


def test_cold_entries_are_marked(store):
    with store.writing():
        draft = store.begin({"user": WIDTH})
        draft.put_many("user", ["a", "b"], unit(2), [5, 6], 7, np.array([True, False]))
        draft.seal(notes(draft.version))
        store.publish(draft.version)
    assert store.get_many("user", ["a", "b"]).cold.tolist() == [True, False]
    assert store.get("user", "b").time == 6


def test_neighbours_are_the_highest_dot_products(store):
    items, users = unit(300, seed=3), unit(4, seed=4)
    export(store, items, users)
    found = store.neighbours("item", "item-5", k=7)
    scores = items @ items[5]
    scores[5] = -9
    right = np.argsort(-scores)[:7]
    assert [n.id for n in found] == [f"item-{row}" for row in right]
    np.testing.assert_allclose([n.score for n in found], scores[right], rtol=1e-5)
    of_user = store.neighbours("item", "user-2", k=3, of_kind="user")
    assert [n.id for n in of_user] == [f"item-{row}" for row in np.argsort(-(items @ users[2]))[:3]]
    assert [n.id for n in store.neighbours("item", users[2], k=3)] == [n.id for n in of_user]
    assert len(store.neighbours("user", "user-0", k=50)) == 3


def test_a_reader_follows_what_is_published_and_a_pinned_one_stays(store, place):
    first = export(store, unit(20, seed=1))
    with open_store(place) as latest, open_store(place, version=first) as pinned:
        before = latest.get("item", "item-0")
        second = export(store, unit(20, seed=2), limits=Limits(neighbours=1))
        assert latest.get("item", "item-0").version == second
        assert latest.neighbours("item", "item-0", 1) == store.neighbours("item", "item-0", 1)
        np.testing.assert_array_equal(pinned.get("item", "item-0").vector, before.vector)


def test_nobody_sees_a_version_before_it_is_published(store, place):
    first = export(store, unit(20))
    with store.writing():
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", ["new"], unit(1), 1, 7)
        with open_store(place) as reader:
            assert reader.get("item", "new") is None
            draft.seal(notes(draft.version))
            assert reader.get("item", "new") is None
            assert reader.get("item", "item-0").version == first
            store.publish(draft.version, force=["lost"])
            assert reader.get("item", "new").version == draft.version


def test_old_versions_stay_for_a_set_number_and_the_reference_for_good(store, place):
    for _ in range(6):
        export(store, unit(20), keep=2, reference=1)
    there = {version.number: version for version in store.versions()}
    assert sorted(there) == [1, 4, 5, 6]
    assert [n for n, v in there.items() if v.published] == [6]
    assert [n for n, v in there.items() if v.kept_for_rollback] == [4, 5]
    assert [n for n, v in there.items() if v.reference] == [1]
    with pytest.raises(UserError, match=r"has no version 2.*1"):
        open_store(place, version=2)


def test_a_pinned_reader_of_a_dropped_version_hears_of_it(store, place):
    export(store, unit(20), reference=1)
    second = export(store, unit(20), reference=1)
    with open_store(place, version=second) as pinned:
        assert pinned.get("item", "item-1") is not None
        for _ in range(2):
            export(store, unit(20), keep=1, reference=1)
        with pytest.raises(UserError, match=f"has no version {second}"):
            pinned.get("item", "item-1")


def test_rollback_goes_back_one_version_and_says_when_there_is_none(store):
    first, second = export(store, unit(20, seed=1)), export(store, unit(20, seed=2), limits=Limits(neighbours=1))
    assert store.version == second
    with store.writing():
        assert store.rollback() == first
    assert store.get("item", "item-0").version == first
    with store.writing(), pytest.raises(UserError, match="keeps no version from before"):
        store.rollback()
    third = export(store, unit(20, seed=1))
    assert third > second, "numbers are never used again"


def test_two_writers_at_once_one_is_refused(store, place):
    with store.writing(), open_store(place) as other:
        with pytest.raises(UserError, match=r"another process .*is writing a version"), other.writing():
            pass
        with other.backend.lock("refresher"):
            pass  # another role
    with open_store(place) as other, other.writing():
        pass


def _die_writing(place, pipe, given):
    own_extensions.load(EXTENSION)
    own_extensions.load_given(given)
    store = open_store(place)
    with store.writing():
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", names(20), unit(20), 1, 7)
        pipe.send("written")
        multiprocessing.Event().wait()


def test_a_killed_writer_keeps_nobody_out_and_leaves_nothing(store, place, request):
    first = export(store, unit(20))
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_die_writing, args=(place, theirs, request.config.getoption("extension")))
    process.start()
    assert ours.recv() == "written"
    process.kill()
    process.join()
    assert store.get("item", "item-0").version == first
    second = export(store, unit(20))
    assert store.get("item", "item-0").version == second
    assert [version.number for version in store.versions()] == [first, second]


def test_a_stopped_writer_leaves_nothing_and_the_next_one_in_its_process_begins_anew(store, place):
    with pytest.raises(KeyboardInterrupt), store.writing():  # noqa: PT012
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", names(20), unit(20), 1, 7)
        raise KeyboardInterrupt
    with open_store(place) as other:
        export(other, unit(5, seed=1))
        found = other.get_many("item", names(20))
        assert found.found.tolist() == [True] * 5 + [False] * 15
        np.testing.assert_allclose(found.vectors[:5], unit(5, seed=1), atol=1e-6)


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("finite", lambda v: v.__setitem__((3, 2), np.nan)),
        ("finite", lambda v: v.__setitem__((3, 2), np.inf)),
        ("zero", lambda v: v.__setitem__(3, 0)),
        ("duplicate_vectors", lambda v: v.__setitem__(slice(3, 9), v[3])),
    ],
)
def test_spoilt_vectors_stop_the_publishing_and_are_named(store, check, spoil):
    first, vectors = export(store, unit(20)), unit(20)
    spoil(vectors)
    with store.writing():
        version = seal(store, vectors)
        with pytest.raises(GuardError, match=rf"FAIL {check} \(item\).*item-3") as refused:
            store.publish(version, Limits(neighbours=1))
        assert f"store publish {store.backend.place} {version} --force {check}" in str(refused.value)
        assert store.version == first
        store.publish(version, Limits(neighbours=1), force=[check])
    assert store.version == version
    assert [found.name for found in store.manifest.forced] == [check]


def test_an_id_twice_keeps_its_first_vector_and_stops_the_publishing(store, tmp_path):
    with store.writing():
        draft = store.begin({"item": WIDTH})
        vectors = unit(6)
        draft.put_many("item", ["a", "b", "a"], vectors[:3], 1, 7)
        draft.put_many("item", ["b", "c", "d"], vectors[3:], 1, 7)
        draft.seal(notes(draft.version))
        with pytest.raises(GuardError, match=r"FAIL duplicate_ids \(item\): no id has two vectors: 2 of 6, e.g. a, b"):
            store.publish(draft.version)
        store.publish(draft.version, force=["duplicate_ids"])
    np.testing.assert_array_equal(store.get_many("item", ["a", "b"]).vectors, vectors[:2])
    assert "vectors: as they were written" in verify_store(store, None, write_release(tmp_path / "releases"))


def test_a_wrong_width_stops_the_publishing(store):
    with store.writing():
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", names(20), unit(20), 1, 7)
        draft.put_many("item", ["wide"], unit(1, WIDTH + 1), 1, 7)
        draft.seal(notes(draft.version))
        with pytest.raises(GuardError, match=rf"FAIL width \(item\): vectors have width {WIDTH}: 1 of 21, e.g. wide"):
            store.publish(draft.version)


def test_lost_ids_longer_vectors_and_moved_neighbourhoods_stop_the_publishing(store):
    export(store, unit(200, seed=1))
    with store.writing():
        fewer = seal(store, unit(200, seed=1)[:150])
        with pytest.raises(GuardError, match=r"FAIL lost \(item\): at most 5.0% .*: 50 of 200, e.g. item-1"):
            store.publish(fewer)
        longer = unit(200, seed=1)
        longer[:40] *= 2
        with pytest.raises(GuardError, match=r"FAIL norms \(item\): .*: 40 of 200"):
            store.publish(seal(store, longer))
        with pytest.raises(GuardError, match=r"FAIL neighbours \(item\)") as refused:
            store.publish(seal(store, unit(200, seed=9)))
        assert [c.name for c in refused.value.checks if not c.passed] == ["neighbours"]
        turned = unit(200, seed=1) @ np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0]
        store.publish(seal(store, turned.astype(np.float32)))  # a rotation moves no neighbourhood


def test_an_unknown_check_or_kind_lists_the_known_ones(store):
    export(store)
    with store.writing(), pytest.raises(UserError, match=r"unknown check `neighbors`.*Did you mean `neighbours`"):
        store.publish(1, force=["neighbors"])
    with pytest.raises(UserError, match=r"unknown kind of entry `items`.*Did you mean `item`"):
        store.get("items", "item-1")
    with pytest.raises(UserError, match=r"unknown kind of entry `user`. Known: `item`"):
        store.get("user", "user-1")


def test_refreshed_entries_are_seen_at_once_also_by_neighbours(store, place):
    items = unit(30)
    version = export(store, items)
    with open_store(place) as reader:
        assert len(reader.neighbours("item", "item-0", k=100)) == 29
        new = unit(2, seed=8)
        with store.backend.lock("refresher"):
            store.put_many("item", ["item-4", "fresh"], new, [2000, 2001], position="17")
        np.testing.assert_array_equal(reader.get("item", "item-4").vector, new[0])
        assert (reader.get("item", "fresh").time, reader.get("item", "fresh").release) == (2001, 7)
        found = {n.id: n.score for n in reader.neighbours("item", "item-0", k=100)}
        assert len(found) == 30
        assert found["fresh"] == pytest.approx(float(new[1] @ items[0]), abs=1e-6)
        assert found["item-4"] == pytest.approx(float(new[0] @ items[0]), abs=1e-6)
    assert store.backend.position(version) == "17"
    assert store.backend.count(version, "item") == 31
    for value in (np.nan, np.inf, 0):
        with pytest.raises(UserError, match="finite and not zero"):
            store.put_many("item", ["bad"], np.full((1, WIDTH), value, np.float32), 1)
    assert store.get("item", "bad") is None


def test_scanning_meets_every_entry_once(store):
    items = unit(57)
    version = export(store, items)
    store.put_many("item", ["item-1", "late"], unit(2, seed=5), 9)
    parts = list(store.backend.scan(version, "item", 10))
    assert sorted(name for ids, _ in parts for name in ids) == sorted([*names(57), "late"])
    assert max(len(ids) for ids, _ in parts) <= 10


def test_diff_counts_what_is_missing_extra_and_apart(store):
    items = unit(40)
    export(store, items)
    moved = items[:38].copy()
    moved[5] += 0.5
    second = export(store, np.concatenate([moved, unit(1, seed=6)]), limits=Limits(lost=1, norms=1, neighbours=1),
                    ids={"item": [*names(38), "new"]})  # fmt: skip
    (found,) = diff(store.backend, 1, second)
    assert (found.both, found.missing, found.extra, found.differing) == (38, 2, 1, 1)
    assert found.differing_examples == ("item-5",)
    assert found.extra_examples == ("new",)
    assert set(found.missing_examples) == {"item-38", "item-39"}
    assert found.largest_distance == pytest.approx(np.sqrt(WIDTH) / 2, rel=1e-4)
    assert all(same.same for same in diff(store.backend, 1, 1))


def test_verify_walks_from_a_vector_to_the_commit(store, tmp_path):
    export(store, unit(20))
    with pytest.raises(BrokenLinkError, match="broken link `release`: release 7 must lie at `/nowhere/7`"):
        verify_store(store)
    releases = write_release(tmp_path / "releases")
    lines = verify_store(store, ("item", "item-2"), releases)
    assert lines == [
        "pointer: version 1",
        f"version: 1: 20 item x {WIDTH}; as of 1970-01-01T00:16:40Z; in the space of version 1",
        "data: as many entries as were written, or more",
        "vectors: as they were written",
        f"entry: item item-2: width {WIDTH}, of 1970-01-01T00:16:40Z, by release 7",
        "release: toy 7, manifest unchanged",
        "configuration: abc",
        "data window: 1970-01-01T00:00:00Z to 1970-01-01T00:16:39Z, checksum dddddddddddddddd",
        "commit: f00",
    ]
    with pytest.raises(BrokenLinkError, match="broken link `entry`: there is no item `nobody`"):
        verify_store(store, ("item", "nobody"), releases)
    store.put_many("item", ["item-2"], unit(1, seed=4), 5000)
    assert "vectors: finite, 1 of them refreshed since the export" in verify_store(store, None, releases)
    (releases / "7" / "manifest.json").write_text(MANIFEST + " ")
    with pytest.raises(BrokenLinkError, match="broken link `release`: SHA-256 of its manifest must be"):
        verify_store(store, None, releases)


def test_verify_finds_a_vector_that_is_not_what_was_written(store):
    export(store, unit(20))
    kinds = {"item": replace(store.manifest.kinds["item"], digest="0" * 16)}
    store.backend.note(1, replace(store.manifest, kinds=kinds).document())
    with pytest.raises(BrokenLinkError, match="broken link `vectors`: the item vectors are not those that were"):
        verify_store(store)


def test_nothing_published_is_said(store):
    with pytest.raises(UserError, match="no published version"):
        store.get("item", "item-1")
    assert store.versions() == []
    with store.writing():
        seal(store)
    with pytest.raises(UserError, match="no published version"):
        store.get("item", "item-1")


def test_ids_may_be_any_text_but_not_of_any_length(store):
    odd = ["ünïcode €", "a b:c\n", "x" * 480]
    with store.writing():
        draft = store.begin({"item": WIDTH})
        draft.put_many("item", odd, unit(3), 1, 7)
        with pytest.raises(UserError, match="1 to 480 bytes"):
            draft.put_many("item", ["x" * 481], unit(1), 1, 7)
        with pytest.raises(UserError, match="1 to 480 bytes"):
            draft.put_many("item", [""], unit(1), 1, 7)
        draft.seal(notes(draft.version))
        store.publish(draft.version)
    assert store.get_many("item", odd).found.all()
    assert sorted(n for ids, _ in store.backend.scan(1, "item", 9) for n in ids) == sorted(odd)


def test_readers_in_threads_meet_one_whole_version_at_a_time(store, place):
    """While versions come and go, each answer is of one version: all of its vectors hold the version's number."""
    faults = []

    def publish(number):
        with store.writing():
            draft = store.begin({"item": WIDTH})
            draft.put_many("item", names(50), np.full((50, WIDTH), float(draft.version), np.float32), 1, 7)
            draft.seal(notes(draft.version, reference=1))
            store.publish(draft.version, Limits(1, 1, 1, 1, 1), keep=1, force=["duplicate_vectors"])

    publish(1)
    done = threading.Event()

    def read():
        with open_store(place) as reader:
            while not done.is_set():
                batch = reader.get_many("item", names(50))
                if not (batch.vectors == batch.version).all():
                    faults.append(batch)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(2, 12):
        publish(number)
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_store_of_a_newer_format_is_refused(store, place):
    export(store)
    newer = json.loads(json.dumps(store.backend.state())) | {"format": 99}
    with store.writing():
        store.backend.switch(newer)
    with open_store(place) as reader, pytest.raises(UserError, match=r"store format 99; this version .* reads 1"):
        reader.get("item", "item-1")
    with pytest.raises(UserError, match="store format 99"), store.writing():
        pass
