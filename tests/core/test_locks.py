"""One process at a time in a directory: the second is refused at once, and a killed one keeps nobody out."""

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


def test_a_directory_that_takes_no_file_is_named_with_its_setting():
    rule = r"`key` must be a directory that can be written\. Received: `/proc/self`"
    with pytest.raises(UserError, match=rule), lock(Path("/proc/self"), "lock", "resting", "key"):
        pass
