"""Commit and versions that a release notes."""

import shutil
import subprocess
from importlib import metadata

import pytest

from unified_ranker.release.provenance import git_commit, library_versions


def test_versions_are_those_that_are_installed():
    versions = library_versions()
    assert versions["tensorflow"] == metadata.version("tensorflow")
    assert versions["python"].startswith("3.")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_engine(tmp_path, monkeypatch):
    def git(*arguments):
        author = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    file = tmp_path / "provenance.py"
    file.write_text("# the engine\n")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(file) is None
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "another project")
    # Installed below the checkout of another project, the engine is no part of it.
    assert git_commit(file) is None
    git("add", "provenance.py")
    git("commit", "-q", "-m", "engine")
    head = git("rev-parse", "HEAD")
    assert git_commit(file) == head
    file.write_text("# changed\n")
    assert git_commit(file) == f"{head}-dirty"
