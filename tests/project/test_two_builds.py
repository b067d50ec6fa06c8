"""Two runs of one project: the second is refused at once, and a killed run keeps nobody out."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from small_project import cli, write_project

from unified_ranker.core.errors import UserError
from unified_ranker.release.layout import new_release

HOLDER = """
import signal, sys
from pathlib import Path
from unified_ranker.core.locks import lock
with lock(Path(sys.argv[1]), sys.argv[2], "building", "setting"):
    print("held", flush=True)
    signal.pause()
"""


@contextmanager
def another_run(directory, lock=".lock"):
    """A process of its own that has claimed `directory`, killed at the end at the latest."""
    command = [sys.executable, "-c", HOLDER, str(directory), lock]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


def entries(directory):
    return sorted(p.name for p in directory.iterdir())


@pytest.mark.parametrize("command", ["prepare", "train", "evaluate", "export", "build"])
def test_a_second_run_is_refused_in_one_line_before_it_does_anything(project, command):
    shutil.rmtree(project / "data")  # which would be the first thing to be missed
    work = project / ".unified_ranker"
    with another_run(work) as other:
        shown = cli(command, "--project", project)
        assert shown.exit_code == 2
        assert shown.stderr == (
            f"error: another process (pid {other.pid}) is building in `{work}`, and only one may at a time. "
            "Wait for it, or stop it.\n"
        )
        assert shown.stdout == ""
        assert entries(work) == [".lock"]
    assert not (project / "releases").exists()


def test_a_killed_run_keeps_nobody_out_and_its_drafts_go(project):
    work = project / ".unified_ranker"
    with another_run(work) as other:
        (work / ".train-x1" / "new").mkdir(parents=True)
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert entries(work) == [".lock", ".train-x1"]
    shown = cli("prepare", "--project", project)
    assert shown.exit_code == 0, shown.output
    assert not [name for name in entries(work) if name.startswith(".")]
    assert "prepare" in entries(work)


def test_a_release_is_written_by_one_run_at_a_time_and_clears_drafts_of_killed_ones(tmp_path):
    releases = tmp_path / "releases"
    (releases / ".1-x" / "model").mkdir(parents=True)
    with new_release(releases):
        assert not (releases / ".1-x").exists()
        with (
            pytest.raises(UserError, match=rf"another process \(pid {os.getpid()}\) is writing a release in"),
            new_release(releases),
        ):
            pass
    assert entries(releases) == ["1", "latest"]


def places(tmp_path):
    """Where nothing can be written, for root too."""
    (tmp_path / "afile").touch()
    return [tmp_path / "afile", tmp_path / "afile" / "below", "/proc/x", "/proc/self"]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(
    ("command", "setting"),
    [
        ("build", "releases_dir"),
        ("export", "releases_dir"),
        ("build", "work_dir"),
        ("prepare", "work_dir"),
        ("train", "work_dir"),
        ("evaluate", "work_dir"),
    ],
)
def test_an_unwritable_directory_is_one_line_before_anything_runs(project, command, setting, number):
    shutil.rmtree(project / "data")  # which would be the first thing to be missed
    place = places(project)[number]
    shown = cli(command, "--project", project, "--set", f"project.{setting}={place}")
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"error: `project.{setting}` must be a directory that can be written. Received: ")
    assert str(place) in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert not (project / ".unified_ranker").exists()
