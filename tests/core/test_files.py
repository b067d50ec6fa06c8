"""Files and directories appear whole or not at all."""

import os
import subprocess
import sys

import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import (
    clear_drafts,
    made_directory,
    numbered_entries,
    require_writable,
    whole_directory,
    whole_file,
    write_whole,
)

FAULTS = (ValueError, KeyboardInterrupt, SystemExit)


def entries(directory):
    return sorted(p.name for p in directory.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_when_it_is_complete(tmp_path, durable):
    file = tmp_path / "file"
    with whole_file(file, durable) as draft:
        draft.write_text("ha")
        assert not file.exists()
        assert draft.parent == tmp_path, "beside its place, or a rename would copy"
        draft.write_text("half and half")
    assert file.read_text() == "half and half"
    assert entries(tmp_path) == ["file"]
    assert file.stat().st_mode & 0o777 == 0o644
    write_whole(file, "ñ", durable)
    assert file.read_bytes() == "ñ".encode()


def test_text_is_utf_8_whatever_the_locale_of_the_process(tmp_path):
    """That of a container or of cron may be ASCII."""
    script = "import sys, pathlib, unified_ranker.core.files as f; f.write_whole(pathlib.Path(sys.argv[1]), '\\xf1')"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "f")], env={**os.environ, **locale}, check=True)
    write_whole(tmp_path / "g", "ñ")
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes() == "ñ".encode()


@pytest.mark.parametrize("durable", [False, True])
def test_a_durable_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_is_done(
    tmp_path, monkeypatch, durable
):
    real, seen = os.fsync, []

    def fsync(handle):
        seen.append((os.readlink(f"/proc/self/fd/{handle}"), entries(tmp_path) == ["file"]))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "file", "text", durable=True) if durable else write_whole(tmp_path / "file", "text")
    assert [placed for _, placed in seen] == ([False, True] if durable else [])
    assert [path for path, placed in seen if placed] == ([str(tmp_path)] if durable else [])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_file_that_was_there(tmp_path, fault):
    def fail():
        with whole_file(tmp_path / "file") as draft:
            draft.write_text("half")
            raise fault

    with pytest.raises(fault):
        fail()
    assert entries(tmp_path) == []
    write_whole(tmp_path / "file", "before")
    with pytest.raises(fault):
        fail()
    assert entries(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "before"


def test_a_directory_appears_when_it_is_complete(tmp_path):
    place = tmp_path / "deep" / "place"
    with whole_directory(place) as draft:
        (draft / "file").touch()
        assert not place.exists()
    assert entries(place) == ["file"]
    assert entries(place.parent) == ["place"]
    assert place.stat().st_mode & 0o777 == 0o777 & ~_umask()


def test_a_directory_that_is_there_gives_way_only_where_that_is_asked(tmp_path):
    with whole_directory(tmp_path / "place") as draft:
        (draft / "old").touch()
    with pytest.raises(OSError, match="not empty"), whole_directory(tmp_path / "place") as draft:
        (draft / "new").touch()
    assert entries(tmp_path / "place") == ["old"]
    with whole_directory(tmp_path / "place", replace=True) as draft:
        (draft / "new").touch()
    assert entries(tmp_path / "place") == ["new"]
    assert entries(tmp_path) == ["place"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_directory_that_was_there(tmp_path, fault):
    def fail():
        with whole_directory(tmp_path / "place", replace=True) as draft:
            (draft / "half").touch()
            raise fault

    with pytest.raises(fault):
        fail()
    assert entries(tmp_path) == []
    with whole_directory(tmp_path / "place") as draft:
        (draft / "old").touch()
    with pytest.raises(fault):
        fail()
    assert entries(tmp_path) == ["place"]
    assert entries(tmp_path / "place") == ["old"]


def test_drafts_of_killed_processes_are_cleared_and_nothing_else(tmp_path):
    for name in (".7-x", ".7-y/new/deep", ".train-z", "7", "7-x"):
        (tmp_path / name).mkdir(parents=True)
    clear_drafts(tmp_path, "[0-9]*")
    assert entries(tmp_path) == [".train-z", "7", "7-x"]
    clear_drafts(tmp_path)
    assert entries(tmp_path) == ["7", "7-x"]


def test_the_draft_that_a_killed_process_leaves_is_one_that_is_cleared(tmp_path):
    child = os.fork()
    if not child:
        with whole_directory(tmp_path / "place") as draft:
            (draft / "half").touch()
            os._exit(0)
    os.waitpid(child, 0)
    assert len(entries(tmp_path)) == 1
    clear_drafts(tmp_path, "place")
    assert entries(tmp_path) == []


def test_a_directory_made_for_a_block_goes_again_unless_something_is_in_it(tmp_path):
    with made_directory(tmp_path / "a" / "b", "key"):
        assert (tmp_path / "a" / "b").is_dir()
    assert entries(tmp_path) == []
    with made_directory(tmp_path / "a" / "b", "key"):
        (tmp_path / "a" / "file").touch()
    assert entries(tmp_path / "a") == ["file"]


def test_a_place_that_takes_no_file_is_named_with_its_setting(tmp_path):
    (tmp_path / "afile").touch()
    for place in (tmp_path / "afile", tmp_path / "afile" / "below", "/proc/x", "/proc/self"):
        with pytest.raises(UserError) as caught:
            require_writable(tmp_path / place, "key")
        assert str(caught.value).startswith(f"`key` must be a directory that can be written. Received: `{place}`: ")
        assert str(caught.value).endswith("or name another with --set key=PATH.")
    with pytest.raises(UserError, match="or name another with --key PATH"):
        require_writable(tmp_path / "afile", "--key")
    require_writable(tmp_path / "new" / "deep", "key")
    assert entries(tmp_path) == ["afile"]


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_entries_under_numbers_are_those_whose_names_we_write(tmp_path):
    for name in ("2", "10", "0", "007", "7", "²", "٣", "-1", "+4", " 5", "6.0", "x"):
        (tmp_path / name).mkdir()
    found = numbered_entries(tmp_path)
    assert list(found) == [0, 2, 7, 10]
    assert found[7] == tmp_path / "7"
    assert numbered_entries(tmp_path / "none") == {}
