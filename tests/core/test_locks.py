"""One process at a time in a directory: the second is refused at once, and a killed one keeps nobody out."""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.locks import lock

HOLDER = """
import signal, sys
from pathlib import Path
from unified_ranker.core.locks import lock
with lock(Path(sys.argv[1]), "lock", "resting", "key"):
    print("held", flush=True)
    signal.pause()
"""


@contextmanager
def another_process(directory):
    """A process that holds the lock of `directory`, killed at the end at the latest."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(directory)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def entries(directory):
    return sorted(p.name for p in directory.iterdir())


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path):
    with another_process(tmp_path) as other:
        with pytest.raises(UserError) as caught, lock(tmp_path, "lock", "resting", "key"):
            pass
        assert str(caught.value) == (
            f"another process (pid {other.pid}) is resting in `{tmp_path}`, and only one may at a time. "
            "Wait for it, or stop it."
        )
        with lock(tmp_path, "another lock", "resting", "key"):
            pass
        assert entries(tmp_path) == ["lock"]


def test_a_killed_process_keeps_nobody_out(tmp_path):
    with another_process(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert entries(tmp_path) == ["lock"]
    with lock(tmp_path, "lock", "resting", "key"):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_lock_leaves_no_trace(tmp_path):
    directory = tmp_path / "a" / "b"
    with lock(directory, "lock", "resting", "key"):
        assert entries(directory) == ["lock"]
    assert entries(tmp_path) == []
    with lock(directory, "lock", "resting", "key"):
        (directory / "made").touch()
    assert entries(directory) == ["made"]


@pytest.fixture
def once(monkeypatch):
    """Return a function that has something happen before the first call of another function, and not again."""

    def happen(module, name, change):
        real, done = getattr(module, name), []

        def wrapped(*arguments, **named):
            if not done:
                done.append(name)
                change()
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, wrapped)
        return done

    return happen


@pytest.mark.parametrize("made_by_another", [False, True])
def test_a_directory_that_goes_with_its_last_holder_is_made_again(tmp_path, once, made_by_another):
    directory = tmp_path / "a" / "b"

    def gone():
        directory.rmdir()
        directory.parent.rmdir()
        if made_by_another:
            once(os, "mkdir", lambda: directory.mkdir(parents=True))

    done = once(os, "open", gone)
    with lock(directory, "lock", "resting", "key"):
        assert done
        assert entries(directory) == ["lock"]


@pytest.mark.parametrize("again", [False, True])
def test_a_file_that_goes_before_it_is_locked_is_not_the_one_to_hold(tmp_path, once, again):
    """Else the next process would lock the file that is there, and two would hold the directory."""

    def gone():
        (tmp_path / "lock").unlink()
        if again:
            (tmp_path / "lock").touch()

    done = once(fcntl, "flock", gone)
    with lock(tmp_path, "lock", "resting", "key"):
        assert done
        with pytest.raises(UserError, match=f"pid {os.getpid()}"), lock(tmp_path, "lock", "resting", "key"):
            pass


def test_the_file_holds_the_process_id_alone_and_others_may_read_it(tmp_path):
    (tmp_path / "lock").write_text("12345678901234567890")
    (tmp_path / "lock").chmod(0o600)
    with lock(tmp_path, "lock", "resting", "key"):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
    mask = os.umask(0)
    try:
        with lock(tmp_path, "lock", "resting", "key"):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)


def test_a_holder_that_has_not_said_who_it_is_is_unknown(tmp_path):
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"\(pid unknown\) is resting"), lock(tmp_path, "lock", "resting", "key"):
            pass


def test_a_full_disk_is_named_with_its_setting_and_the_lock_is_freed(tmp_path, once):
    def full():
        raise OSError(28, "No space left on device")

    once(os, "pwrite", full)
    rule = rf"`key` must be a directory that can be written\. Received: `{tmp_path}`: No space left"
    with pytest.raises(UserError, match=rule), lock(tmp_path, "lock", "resting", "key"):
        pass
    with lock(tmp_path, "lock", "resting", "key"):
        pass


def test_a_directory_that_takes_no_file_is_named_with_its_setting():
    rule = r"`key` must be a directory that can be written\. Received: `/proc/self`"
    with pytest.raises(UserError, match=rule), lock(Path("/proc/self"), "lock", "resting", "key"):
        pass
