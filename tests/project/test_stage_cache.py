"""Output of a stage: whole or not at all, and known by what went in."""

import os
from pathlib import Path

import pytest

from unified_ranker.project.stage_cache import fill, fresh, stamp_of


def entries(directory):
    return sorted(p.name for p in directory.iterdir())


def test_a_filled_directory_appears_whole_with_its_stamp(tmp_path):
    target = tmp_path / "work" / "stage"
    with fill(target, "key") as (draft, notes):
        (draft / "made").write_text("1")
        notes["rows"] = 3
        assert not target.exists()
    assert entries(target) == ["made", "stamp.json"]
    assert entries(tmp_path / "work") == ["stage"]
    assert stamp_of(target) == {"key": "key", "rows": 3}
    assert fresh(target, "key")
    assert not fresh(target, "other")
    assert not fresh(tmp_path / "absent", "key")


def test_a_directory_is_filled_for_everyone_to_read(tmp_path):
    before = os.umask(0o022)
    try:
        with fill(tmp_path / "stage", "key"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "stage").stat().st_mode & 0o777 == 0o755


def test_a_refill_replaces_everything(tmp_path):
    for name in ("old", "new"):
        with fill(tmp_path / "stage", name) as (draft, _):
            (draft / name).touch()
    assert entries(tmp_path / "stage") == ["new", "stamp.json"]
    assert entries(tmp_path) == ["stage"]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_the_old_contents(tmp_path, fault):
    def refill():
        with fill(tmp_path / "stage", "new") as (draft, _):
            (draft / "half").touch()
            raise fault

    with pytest.raises(fault):
        refill()
    assert entries(tmp_path) == []
    with fill(tmp_path / "stage", "old") as (draft, _):
        (draft / "made").touch()
    with pytest.raises(fault):
        refill()
    assert entries(tmp_path) == ["stage"]
    assert entries(tmp_path / "stage") == ["made", "stamp.json"]
    assert fresh(tmp_path / "stage", "old")


def test_old_contents_come_back_when_the_new_ones_cannot_take_their_place(tmp_path, monkeypatch):
    with fill(tmp_path / "stage", "old") as (draft, _):
        (draft / "made").touch()
    real, failed = Path.rename, []

    def rename(self, target):
        if target == tmp_path / "stage" and not failed:
            failed.append(self)
            raise PermissionError("not now")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PermissionError), fill(tmp_path / "stage", "new"):
        pass
    assert failed
    assert entries(tmp_path) == ["stage"]
    assert fresh(tmp_path / "stage", "old")
    assert (tmp_path / "stage" / "made").exists()
