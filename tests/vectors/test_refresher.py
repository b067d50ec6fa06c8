"""Freshness, over the small project: who did something, and what is new, is in the store after one step."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_project import ITEMS, USERS, built_project, cli, predict_of

from unified_ranker.cli.embedding_commands import open_sources
from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.request import Request, to_arrays
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.project.release_project import open_project
from unified_ranker.store import open_store
from unified_ranker.vectors.consistency import check_consistency
from unified_ranker.vectors.refresher import Refresher, Sources
from unified_ranker.vectors.vector_export import ExportOptions, export_embeddings

pytestmark = pytest.mark.xdist_group("small_project")
DIM = 8
NOW = int(pd.Timestamp("2024-03-10", tz="UTC").timestamp())
"""A week after the log."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The built project with its vectors in its store; nobody may change it."""
    directory = built_project().copy(tmp_path_factory.mktemp("exported"))
    opened = open_project(directory / "releases" / "1", None)
    with open_store(opened.place(None)) as store:
        export(opened, store, NOW - 3600)
    return directory


@pytest.fixture
def project(exported, tmp_path):
    directory = Path(shutil.copytree(exported, tmp_path / "project", symlinks=True))
    return open_project(directory / "releases" / "1", None)


@pytest.fixture
def store(project):
    with open_store(project.place(None)) as opened:
        yield opened


@pytest.fixture
def incoming(tmp_path):
    for name in ("events", "items"):
        (tmp_path / "incoming" / name).mkdir(parents=True)
    return tmp_path / "incoming"


@pytest.fixture
def sources(project, incoming):
    with open_sources(project, str(incoming / "events"), incoming / "items") as opened:
        yield opened


@pytest.fixture
def refresher(project, store, sources):
    return Refresher(project.embedded, store, sources, project.reopen, clock=lambda: NOW)


def export(project, store, as_of):
    return export_embeddings(project.export_input(), store, ExportOptions(as_of, EngineChoice("in-process")))


def event(user="u1", item="i2", time=NOW - 2):
    return Event(user, item, "home_feed", "click", time)


def write(directory, name, rows):
    frame = pd.DataFrame(rows)
    draft = directory / f".{name}"
    frame.to_parquet(draft)
    draft.rename(directory / f"{name}.parquet")


def rows(*events):
    return [{"user_id": e.user_id, "item_id": e.item_id, "task": e.task, "event_type": e.event_type,
             "timestamp": pd.Timestamp(e.timestamp, unit="s", tz="UTC")} for e in events]  # fmt: skip


def right_vector(project, sources, user, time):
    history = sources.histories.before(user, time)
    asked = to_arrays([Request(user, "home_feed", timestamp=time, history=history)], 8)
    return predict_of(project.embedded.directory)("encode", asked)["query_vector"][0, :DIM]


def test_users_who_did_something_get_the_vector_of_now(project, store, sources, refresher, incoming):
    before = store.get("user", "u1")
    write(incoming / "events", "a", rows(event(), event("brand-new", "i3", NOW - 5)))
    done = refresher.step()
    assert (done.events, done.users, done.items, done.delay) == (2, 2, 0, 5)
    after = store.get("user", "u1")
    assert (after.time, after.version) == (NOW, before.version)
    np.testing.assert_allclose(after.vector, right_vector(project, sources, "u1", NOW), atol=1e-5)
    assert np.abs(after.vector - before.vector).max() > 1e-3
    assert not store.get("user", "brand-new").cold
    assert store.get("user", "u2").time == NOW - 3600
    assert refresher.step().idle


def test_events_that_come_twice_or_in_a_later_file_count_once(store, refresher, incoming):
    write(incoming / "events", "a", rows(event()))
    assert refresher.step().events == 1
    write(incoming / "events", "b", rows(event(), event(item="i7")))
    assert refresher.step().events == 1


def test_new_items_are_embedded_from_their_content(project, store, refresher, incoming):
    twin = {"title": "The Amber Drama", "categories": ["drama"], "minutes": 81}
    write(incoming / "items", "a", [{"item_id": "n1", **twin}])
    assert refresher.step().items == 1
    assert store.get("item", "n1").time == NOW
    assert "n1" in {n.id for n in store.neighbours("item", "i1", k=4)}, "i1 has that title and genre"
    assert refresher.step().idle
    write(incoming / "items", "b", [{"item_id": "n1", **twin, "title": "The Jade Horror", "categories": ["horror"]}])
    old = store.get("item", "n1").vector
    assert refresher.step().items == 1
    assert np.abs(store.get("item", "n1").vector - old).max() > 1e-2


def test_the_services_event_log_is_followed_from_another_process(project, store, tmp_path):
    """Histories that were read before an event must not hide it: the log is written by another process."""
    place = tmp_path / "service"
    code = (
        "import sys\nfrom pathlib import Path\nfrom unified_ranker.core.event import Event\n"
        "from unified_ranker.events.lmdb_histories import LmdbStore\nstore = LmdbStore(Path(sys.argv[1]))\n"
        "for line in sys.stdin:\n    user, item, time = line.split()\n"
        "    store.append([Event(user, item, 'home_feed', 'click', int(time))])\n"
        "    store.put_item(f'live-{time}', {'title': 'The Blue Western', 'created_at': int(time)})\n"
        "    print('kept', flush=True)\n"
    )
    command, pipe = [sys.executable, "-c", code, str(place)], subprocess.PIPE
    service = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def tell(line):
        service.stdin.write(line + "\n")
        service.stdin.flush()
        assert service.stdout.readline() == "kept\n"

    tell(f"u1 i1 {NOW - 9}")
    histories = LmdbStore(place)
    refresher = Refresher(project.embedded, store, Sources(histories), project.reopen, clock=lambda: NOW)
    done = refresher.step()
    assert (done.users, done.items) == (1, 1)
    first = store.get("user", "u1").vector
    assert len(histories.before("u1", 0)) == 1
    tell(f"u1 i2 {NOW - 4}")
    assert refresher.step().users == 1
    assert np.abs(store.get("user", "u1").vector - first).max() > 1e-3
    assert store.get("item", f"live-{NOW - 4}") is not None
    histories.close()
    service.stdin.close()
    assert service.wait() == 0


def test_a_refresher_goes_on_where_it_was_and_follows_the_next_version(project, store, sources, refresher, incoming):
    write(incoming / "events", "a", rows(event("u1"), event("u2")))
    refresher.step()
    again = Refresher(project.embedded, store, sources, project.reopen, clock=lambda: NOW)
    assert again.step().idle, "its position is in the store"
    published = export(project, store, NOW - 1800).version
    assert store.get("user", "u1").time == NOW - 1800, "the export knows the project's log alone"
    done = again.step()
    assert (done.version, done.users) == (published, 2), "what happened since is taken into the new version, too"
    assert store.get("user", "u1").time == NOW


def test_a_version_of_a_release_that_is_not_there_stops_the_refresher(project, store, sources, refresher, incoming):
    refresher.step()
    manifest = store.manifest
    store.backend.note(1, replace(manifest, release=replace(manifest.release, version=9)).document())
    with pytest.raises(UserError, match=r"version 1 of the store is of release 9, and there is none at"):
        Refresher(project.embedded, store, sources, project.reopen).step()


def test_the_check_finds_nothing_after_export_and_refresh(project, store, sources, refresher, incoming):
    write(incoming / "events", "a", rows(event("u1"), event("brand-new")))
    write(incoming / "items", "a", [{"item_id": "n1", "title": "The Blue Western"}])
    refresher.step()
    items, users = check_consistency(project.embedded, project.as_prepared().folder, store, sources)
    assert (items.both, users.both) == (ITEMS + 1, USERS + 1)
    assert items.same
    assert users.same
    assert users.largest_distance < 1e-4


def test_the_check_finds_missing_extra_and_differing_vectors_and_events_not_taken_in(project, store, sources, incoming):
    wrong = np.eye(DIM, dtype=np.float32)
    store.put_many("item", ["ghost", "i4"], wrong[:2], 5)
    write(incoming / "items", "a", [{"item_id": "late", "title": "The Blue Western"}])
    write(incoming / "events", "a", rows(event("u3"), event("never-seen")))
    items, users = check_consistency(project.embedded, project.as_prepared().folder, store, sources)
    assert (items.missing, items.missing_examples) == (1, ("late",))
    assert (items.extra, items.extra_examples) == (1, ("ghost",))
    assert (items.differing, items.differing_examples) == (1, ("i4",))
    assert items.largest_distance > 0.1
    assert (users.missing_examples, users.differing_examples) == (("never-seen",), ("u3",))


LONG = "\u00fc" * 241


def test_what_cannot_be_taken_is_quarantined_counted_and_passed(project, store, sources, refresher, incoming):
    """One id of 482 bytes, which the service took as it has fewer than 256 characters, stopped the refresh for good."""
    good = [event("u1"), event("brand-new", "i3", NOW - 5)]
    bad = [event(LONG), event(item=LONG), event(time=4_000_000_000), event(time=-5), event(item="")]
    write(incoming / "events", "a", rows(*bad, *good))
    items = [{"item_id": name, "title": "The Blue Western", "minutes": 80.0} for name in ("n1", LONG, "")]
    write(incoming / "items", "a", [*items, {"item_id": None, "title": "None"}])
    write(
        incoming / "items", "b", [{"item_id": f"x{n}", "minutes": text} for n, text in enumerate(["80", "long", "90"])]
    )
    done = refresher.step()
    assert (done.events, done.users, done.items, done.quarantined) == (2, 2, 3, 8)
    assert store.get_many("item", ["n1", "x0", "x1", "x2", LONG, ""]).found.tolist() == [1, 1, 0, 1, 0, 0]
    assert refresher.step().idle, "nothing is tried again"
    file = project.workspace.work / "refresh" / "quarantine.jsonl"
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert Counter(record["kind"] for record in found) == {"event": 5, "item": 3}
    assert all(record["reason"] for record in found)
    write(incoming / "events", "b", rows(event("u2")))
    assert refresher.step().users == 1
    differences = check_consistency(project.embedded, project.as_prepared().folder, store, sources)
    assert all(difference.same for difference in differences), differences


def test_what_an_earlier_service_stored_is_passed_too(project, store, tmp_path):
    histories = LmdbStore(tmp_path / "service")
    histories.append([event("damaged", "d1"), event("u1")])
    histories.close()
    file = tmp_path / "service" / "data.mdb"
    line = event("damaged", "d1").line()
    file.write_bytes(file.read_bytes().replace(line, b";" * len(line)))
    histories = LmdbStore(tmp_path / "service")
    histories.put_item(LONG, {"title": "The Blue Western"})
    histories.append([event(LONG), *[event("u1", f"i{n % 9}", NOW * 50 + n) for n in range(1000)]])
    sources = Sources(histories)
    refresher = Refresher(project.embedded, store, sources, project.reopen, clock=lambda: NOW)
    done = refresher.step()
    assert (done.users, done.items, done.quarantined) == (1, 0, 3)
    assert store.get("user", "u1").time == NOW
    np.testing.assert_allclose(store.get("user", "u1").vector, right_vector(project, sources, "u1", NOW), atol=1e-5)
    assert refresher.step().idle
    histories.close()


def test_tables_that_are_none_are_named(project, store, refresher, incoming):
    write(incoming / "events", "a", [{"user_id": "u1", "item_id": "i1"}])
    with pytest.raises(UserError, match=r"a.parquet` must have the columns of events. Missing: `task`, `event_type`"):
        refresher.step()
    (incoming / "events" / "a.parquet").unlink()
    (incoming / "events" / "b.parquet").write_bytes(b"PAR1 half of a table")
    assert refresher.step().idle, "it may still be written"
    with pytest.raises(UserError, match=r"b.parquet` cannot be read as Parquet, and does not grow"):
        refresher.step()


def test_the_command_follows_until_it_is_stopped_and_only_one_may(project, store, incoming):
    command = [
        sys.executable,
        "-c",
        "from unified_ranker.cli import main; main()",
        "refresh",
        str(project.embedded.directory),
    ]
    arguments = ["--events", str(incoming / "events"), "--poll-seconds", "0.05", "--json"]
    metrics = incoming / "refresh.prom"
    command += ["--metrics-file", str(metrics)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stderr.readline, "")
        assert any(line.startswith("following ") for line in lines)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        write(incoming / "events", "a", rows(event("u5")))
        line = json.loads(process.stdout.readline())
        assert (line["users"], line["version"]) == (1, 1)
        assert store.get("user", "u5").time > NOW
        assert "unified_ranker_refresh_events_total 1.0" in metrics.read_text()
        refused = cli("refresh", project.embedded.directory, *arguments[:2], "--once")
        assert refused.exit_code == 2
        assert f"pid {process.pid}" in refused.stderr
        process.terminate()
        assert process.wait() == 0
    finally:
        if process.poll() is None:
            os.kill(process.pid, 9)
        process.wait()
    checked = cli("refresh", project.embedded.directory, *arguments[:2], "--check")
    assert checked.exit_code == 0, checked.stdout
    assert f"user: {USERS} in both, 0 missing, 0 extra, 0 differing" in checked.stdout


def test_events_must_be_a_log_or_a_directory(project):
    shown = cli("refresh", project.embedded.directory, "--events", "/nowhere", "--once")
    assert shown.exit_code == 2
    assert "`--events` must be the service's event store or a directory of Parquet" in shown.stderr
