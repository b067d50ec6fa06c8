"""The embedded store where the disk is full, copies are cut, and writers are killed."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from damaged_pages import damage
from store_toy import WIDTH, export, names, notes, unit, write_release
from typer.testing import CliRunner

from unified_ranker.cli.app import app
from unified_ranker.core.errors import UserError
from unified_ranker.release.links import BrokenLinkError
from unified_ranker.store import open_store
from unified_ranker.vectors.verify_store import verify_store

FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from store_toy import export, unit
from unified_ranker.store import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
with open_store(sys.argv[1]) as store:
    export(store, unit(5000))
"""


@pytest.mark.parametrize("room", [0, 40_000, 300_000])
def test_a_disk_without_room_leaves_the_published_version_and_the_same_command_succeeds_later(tmp_path, room):
    """A process that may write no file beyond a size stands for the disk: the faults of write and sync are real."""
    with open_store(tmp_path) as store:
        export(store, unit(20))
    arguments = [sys.executable, "-c", FULL, str(tmp_path), str(Path(__file__).parents[1] / "toys"), str(room)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "UserError" in last, done.stderr
    assert "is unchanged" in last
    assert "File too large" in last or "Input/output error" in last, "LMDB's word for a write that was cut short"
    with open_store(tmp_path) as store:
        assert store.get("item", "item-0").version == 1
        assert len(store.versions()) == 1
        second = export(store, unit(20))
        assert store.get("item", "item-0").version == second
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".draft", ".dropped"))] == []


def test_a_half_copied_version_is_named_and_another_can_be_gone_back_to(tmp_path):
    with open_store(tmp_path / "whole") as store:
        export(store, unit(2000))
        export(store, unit(2000))
    copy = shutil.copytree(tmp_path / "whole", tmp_path / "copy")
    data = copy / "2" / "data.mdb"
    with data.open("r+b") as stream:
        stream.truncate(data.stat().st_size // 2)
    with open_store(copy) as store:
        with pytest.raises(UserError, match=r"data.mdb` must have .* bytes. Received: .*copy is incomplete.*roll"):
            store.get("item", "item-0")
        with store.writing():
            assert store.rollback() == 1
        assert store.get("item", "item-0").version == 1


def test_any_changed_byte_is_found_by_verify_or_changes_nothing(tmp_path):
    """Whatever verify says, it is a message: no traceback, and no process that the operating system ends."""
    with open_store(tmp_path / "whole") as store:
        export(store, unit(40), unit(20))
    releases, rng, broken = write_release(tmp_path / "releases"), random.Random(3), 0
    files = [file for file in (tmp_path / "whole").rglob("*") if file.is_file() and file.name != "lock.mdb"]
    for number in range(90):
        changed = files[number % len(files)].relative_to(tmp_path / "whole")
        copy = shutil.copytree(tmp_path / "whole", tmp_path / str(number))
        data = bytearray((copy / changed).read_bytes())
        for at in range(start := rng.randrange(len(data)), min(start + rng.choice([1, 8, 64]), len(data))):
            data[at] ^= rng.randrange(1, 256)
        (copy / changed).write_bytes(data)
        with open_store(copy) as store:
            try:
                assert len(verify_store(store, ("item", "item-5"), releases)) == 9
            except BrokenLinkError:
                broken += 1
    assert broken > 30


def test_a_page_that_would_end_the_process_is_a_message_of_verify(tmp_path):
    """A place in the page that leads outside of the file: LMDB would read there, in whatever process it is."""
    with open_store(tmp_path) as store:
        export(store, unit(20))
    file, page = tmp_path / "1" / "data.mdb", os.sysconf("SC_PAGESIZE")
    data = bytearray(file.read_bytes())
    places = data.rindex(b"item-5") // page * page + 16
    data[places : places + 40] = b"\xf8\xff" * 20
    file.write_bytes(data)
    shown = CliRunner().invoke(app, ["store", "verify", str(tmp_path)])
    assert shown.exit_code == 2
    assert "broken link `data`" in shown.stderr
    assert "is damaged: its pages cannot be read (SIG" in shown.stderr
    assert "store rollback" in shown.stderr


def test_damaged_pages_are_a_message_of_every_reader(tmp_path):
    with open_store(tmp_path) as store:
        export(store, unit(400))
    damage(tmp_path / "1" / "data.mdb", sparing=b"changes")
    for command in (["get", str(tmp_path), "item", "item-5"], ["neighbours", str(tmp_path), "item", "item-5"]):
        shown = CliRunner().invoke(app, ["store", *command])
        assert shown.exit_code == 2
        assert "data.mdb` is damaged: " in shown.stderr


def test_a_version_copied_without_its_manifest_is_named(tmp_path):
    with open_store(tmp_path) as store:
        export(store, unit(20))
    (tmp_path / "1" / "manifest.json").unlink()
    with (
        open_store(tmp_path) as store,
        pytest.raises(UserError, match=r"no `manifest.json`: the copy is incomplete"),
    ):
        store.get("item", "item-0")


def test_a_version_of_a_newer_format_is_refused(tmp_path):
    with open_store(tmp_path) as store:
        export(store, unit(20))
    file = tmp_path / "1" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    with open_store(tmp_path) as store, pytest.raises(UserError, match=r"has store format 2; .* reads 1"):
        store.get("item", "item-0")


def test_a_store_that_may_only_be_read_can_be_read(tmp_path):
    """Without the right to write, LMDB's own lock file cannot be used either."""
    with open_store(tmp_path) as store:
        export(store, unit(20))
    if os.getuid() != 0:
        pytest.skip("only root may become another user")
    code = (
        "import lmdb, os, sys, unified_ranker.store.lmdb_backend; from unified_ranker.store import open_store;"
        "lmdb.open(sys.argv[1] + '/warm').close();"  # it imports when it opens, and the environment is root's alone
        "os.chdir(sys.argv[1]); os.setgid(65534); os.setuid(65534); print(open_store('.').get('item', 'item-1').width)"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(WIDTH), done.stderr


def test_a_store_in_the_place_of_a_deleted_one_has_its_own_entries_alone(tmp_path):
    """An open environment outlives its file; its reader keeps what it has, and nobody else gets it."""
    place = tmp_path / "store"
    with open_store(place) as old:
        export(old, unit(20))
        assert old.get("item", "item-19") is not None
        shutil.rmtree(place)
        with open_store(place) as new:
            export(new, unit(5, seed=1))
            found = new.get_many("item", names(20))
            assert found.found.tolist() == [True] * 5 + [False] * 15
        with open_store(place) as again:
            assert again.get("item", "item-4") is not None, "the old reader's release does not close the new file"


def test_a_stopped_writer_leaves_no_draft_on_the_disk_and_none_open(tmp_path):
    place = tmp_path / "store"
    stopped = open_store(place)
    with pytest.raises(ZeroDivisionError), stopped.writing():  # noqa: PT012
        stopped.begin({"item": WIDTH}).put_many("item", names(20), unit(20), 1, 7)
        raise ZeroDivisionError
    assert [p.name for p in place.iterdir() if p.name.startswith((".draft", ".dropped"))] == []
    shutil.rmtree(place)
    with open_store(place) as new:
        export(new, unit(5, seed=1))
        assert new.get_many("item", names(20)).found.tolist() == [True] * 5 + [False] * 15


def write_versions(place, pipe):
    """Publish versions one after the other, saying each step, until killed; a version's vectors hold its number."""
    store = open_store(place)
    with store.writing():
        while True:
            draft = store.begin({"item": WIDTH})
            for part in range(4):
                ids = names(200)[part * 50 : part * 50 + 50]
                draft.put_many("item", ids, np.full((50, WIDTH), float(draft.version), np.float32), 1, 7)
                pipe.send(part)
            draft.seal(notes(draft.version, reference=1))
            pipe.send("sealed")
            store.publish(draft.version, force=["duplicate_vectors", "norms", "neighbours"], keep=1)
            pipe.send("published")


def read_whole(place):
    """The published version, if all of its 200 vectors are there and hold its number."""
    with open_store(place) as store:
        batch = store.get_many("item", names(200))
        assert batch.found.all()
        assert (batch.vectors == batch.version).all()
        return batch.version


def test_what_is_acknowledged_is_on_the_disk(tmp_path, monkeypatch):
    """Only LMDB's flags tell in a test: the page cache outlives a killed process and no power cut.

    A draft waits for the disk once, at its end: until then nobody reads it.
    """
    with open_store(tmp_path) as store:
        first = export(store, unit(20))
        store.put_many("item", ["later"], unit(1), 9)
        with store.writing():
            draft = store.begin({"item": WIDTH})
            opened = {place.name: one.env.flags()["sync"] for place, one in store.backend._open.items()}
            assert (opened.pop(str(first)), list(opened.values())) == (True, [False])
            synced = []
            [drafted] = [one for place, one in store.backend._open.items() if place.name != str(first)]
            monkeypatch.setattr(drafted, "env", Recorded(drafted.env, synced))
            draft.put_many("item", names(20), unit(20), 1000, 7)
            assert synced == []
            draft.seal(notes(draft.version))
            assert synced == [True]


class Recorded:
    """An environment of LMDB that notes how it was asked to wait for the disk."""

    def __init__(self, env, synced):
        self._env, self._synced = env, synced

    def sync(self, force=False):
        self._synced.append(force)
        return self._env.sync(force)

    def __getattr__(self, name):
        return getattr(self._env, name)


def test_a_writer_killed_at_random_points_loses_nothing(tmp_path):
    rng, spawn, kills, last = random.Random(5), multiprocessing.get_context("spawn"), 0, 0
    for _ in range(8):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=write_versions, args=(str(tmp_path), theirs))
        process.start()
        while ours.recv() != "published":
            pass
        for _ in range(rng.randrange(14)):
            ours.recv()
        # Somewhere within the next step.
        process.join(rng.random() * 0.004)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        version = read_whole(tmp_path)
        assert version > last
        last = version
    assert kills == 8
    with open_store(tmp_path) as store:
        export(store, unit(200), force=["norms", "neighbours"])
        assert store.get("item", "item-0").version > last
