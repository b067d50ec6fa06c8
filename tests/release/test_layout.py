"""Releases appear whole or not at all."""

import json
import os
import shutil
import subprocess

import pytest
from release_toy import make_release

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.release import layout as release_module
from unified_ranker.release.layout import (
    FORMAT,
    Layout,
    git_commit,
    new_release,
    next_version,
    read_manifest,
    write_manifest,
)


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
    (tmp_path / "notes").mkdir()
    assert next_version(tmp_path) == 13
    assert next_version(tmp_path / "none") == 1


def test_a_release_that_was_moved_still_works(tmp_path):
    """`latest` is relative."""
    with new_release(tmp_path / "here"):
        pass
    (tmp_path / "here").rename(tmp_path / "there")
    assert (tmp_path / "there/latest/model").is_dir()


def test_the_manifest_lists_every_file(tmp_path):
    layout = Layout(tmp_path)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/file").write_text("content")
    (tmp_path / "deep/manifest.json").write_text("{}")
    write_manifest(layout, {"version": 4})
    manifest = read_manifest(tmp_path)
    assert manifest["version"] == 4
    assert manifest["format"] == FORMAT
    assert set(manifest["files"]) == {"deep/er/file", "deep/manifest.json"}
    assert manifest["files"]["deep/er/file"] == sha256(tmp_path / "deep/er/file")
    assert manifest["libraries"]["tensorflow"].startswith("2.20")


def test_the_model_is_the_one_version_directory(tmp_path):
    layout = Layout(tmp_path)
    (layout.model_base / "7").mkdir(parents=True)
    assert layout.saved_model() == layout.model_base / "7"
    (layout.model_base / "8").mkdir()
    with pytest.raises(UserError, match=r"must hold one version directory. Received: \['7', '8'\]"):
        layout.saved_model()


def test_a_directory_without_a_manifest_is_no_release(tmp_path, toy_prepared, toy_config):
    make_release(tmp_path, toy_prepared, toy_config)
    with pytest.raises(UserError, match=r"is no release: it holds no manifest.json. Releases there: 1, latest. Name"):
        read_manifest(tmp_path / "3")
    with pytest.raises(UserError, match=r"There is no release beside it"):
        read_manifest(tmp_path / "no" / "where")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 1', "is damaged"),
        ("[]", "has format None; this version of unified_ranker reads 1"),
        (json.dumps({"format": 99}), "has format 99; this version of unified_ranker reads 1"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path, content, words):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_manifest(tmp_path)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_engine(tmp_path, monkeypatch):
    def git(*arguments):
        author = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    file = tmp_path / "release.py"
    file.write_text("# the engine\n")
    monkeypatch.setattr(release_module, "__file__", str(file))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "another project")
    # Installed below the checkout of another project, the engine is no part of it.
    assert git_commit() is None
    git("add", "release.py")
    git("commit", "-q", "-m", "engine")
    head = git("rev-parse", "HEAD")
    assert git_commit() == head
    file.write_text("# changed\n")
    assert git_commit() == f"{head}-dirty"
