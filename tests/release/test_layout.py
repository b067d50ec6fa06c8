"""Releases appear whole or not at all."""

import os
import shutil

import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.release.layout import Layout, new_release, next_version, release_numbers


def names(directory):
    return sorted(p.name for p in directory.iterdir())


def test_a_release_appears_when_it_is_complete(tmp_path):
    releases = tmp_path / "releases"
    with new_release(releases) as (layout, version):
        assert version == 1
        (layout.root / "part").write_text("half")
        assert [name for name in names(releases) if not name.startswith(".")] == []
    assert names(releases) == ["1", "latest"]
    assert (releases / "latest" / "part").read_text() == "half"
    assert names(releases / "1") == ["catalogue", "index", "items", "model", "part"]
    assert (releases / "1").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_fault_leaves_nothing(tmp_path, fault):
    with new_release(tmp_path):
        pass

    def fail():
        with new_release(tmp_path) as (layout, version):
            assert version == 2
            (layout.items / "half").write_text("half")
            raise fault

    with pytest.raises(fault):
        fail()
    assert names(tmp_path) == ["1", "latest"]
    assert os.readlink(tmp_path / "latest") == "1"


def test_versions_count_up_and_latest_follows(tmp_path):
    for version in (1, 2, 3):
        with new_release(tmp_path) as (_, given):
            assert given == version
        assert os.readlink(tmp_path / "latest") == str(version)
    shutil.rmtree(tmp_path / "2")
    (tmp_path / "12").mkdir()
    for name in ("notes", "²", "00044"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").touch()
    assert next_version(tmp_path) == 13
    (tmp_path / "3" / "manifest.json").touch()
    assert release_numbers(tmp_path) == [3], "the others are not whole"
    assert next_version(tmp_path / "none") == 1


def test_a_release_that_was_moved_still_works(tmp_path):
    """`latest` is relative."""
    with new_release(tmp_path / "here"):
        pass
    (tmp_path / "here").rename(tmp_path / "there")
    assert (tmp_path / "there/latest/model").is_dir()


def test_the_model_is_the_one_version_directory(tmp_path):
    layout = Layout(tmp_path)
    (layout.model_base / "7").mkdir(parents=True)
    assert layout.saved_model() == layout.model_base / "7"
    (layout.model_base / "8").mkdir()
    with pytest.raises(UserError, match=r"must hold one version directory. Received: \['7', '8'\]"):
        layout.saved_model()
