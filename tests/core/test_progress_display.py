"""Progress as a user sees it: a bar at a terminal, a line a minute anywhere else."""

import os
import pickle
import subprocess
import sys
import termios

import pytest

from unified_ranker.core.progress import Progress, listening
from unified_ranker.core.progress_display import ProgressDisplay


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def train(clock, steps, seconds, note=""):
    """Do `steps` steps of 1,000, one every `seconds`."""
    with Progress("train, epoch 1 of 2", 1_000, "steps") as progress:
        for _ in range(steps):
            clock.now += seconds
            progress.advance(note=note)


def test_a_file_gets_a_line_a_minute(clock, capsys):
    with listening(ProgressDisplay(clock)):
        train(clock, 125, 1.0, "loss 0.250")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "train, epoch 1 of 2: 60 of 1,000 steps (6%), 16 min left, loss 0.250",
        "train, epoch 1 of 2: 120 of 1,000 steps (12%), 15 min left, loss 0.250",
    ]


def test_what_takes_less_than_a_minute_writes_nothing(clock, capsys):
    with listening(ProgressDisplay(clock)):
        train(clock, 59, 1.0)
    assert capsys.readouterr() == ("", "")


def test_the_minute_is_over_all_work(clock, capsys):
    """Ten thousand short tasks do not write ten thousand lines, nor none."""
    with listening(ProgressDisplay(clock)):
        for _ in range(10):
            train(clock, 20, 1.0)
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_what_an_interrupted_run_had_done_is_not_time_of_this_one(clock, capsys):
    with listening(ProgressDisplay(clock)), Progress("embed", 1_000, "shards", done=900) as progress:
        progress.advance(10)
        clock.now += 100.0
        progress.advance(50)
    assert capsys.readouterr().err == "embed: 960 of 1,000 shards (96%), 1 min left\n"


def test_the_first_part_takes_longer_and_says_nothing_of_the_time_that_is_left(clock, capsys):
    """It builds a graph: a hundred seconds for it do not make a day of a thousand steps."""
    with listening(ProgressDisplay(clock)), Progress("train", 1_000, "steps") as progress:
        clock.now += 100.0
        progress.advance()
        for _ in range(60):
            clock.now += 1.0
            progress.advance()
    assert capsys.readouterr().err.splitlines() == [
        "train: 1 of 1,000 steps (0%)",
        "train: 61 of 1,000 steps (6%), 16 min left",
    ]


def test_a_display_goes_to_another_process_without_its_bar(clock):
    display = ProgressDisplay(clock)
    display(Progress("train", 2, "steps"))
    assert isinstance(pickle.loads(pickle.dumps(display)), ProgressDisplay)  # noqa: S301


def test_a_terminal_gets_a_bar_that_goes_away():
    code = (
        "from unified_ranker.core.progress_display import ProgressDisplay\n"
        "from unified_ranker.core.progress import Progress, listening\n"
        "with listening(ProgressDisplay()), Progress('simulate', 40, 'events') as progress:\n"
        "    progress.advance(40, 'slice 3')\n"
    )
    master, terminal = os.openpty()
    os.set_blocking(master, False)
    termios.tcsetwinsize(terminal, (24, 80))
    subprocess.run([sys.executable, "-c", code], stderr=terminal, check=True)
    shown = os.read(master, 65536).decode()
    os.close(terminal)
    os.close(master)
    assert "simulate:   0%" in shown
    assert "0/40" in shown
    assert "\n" not in shown
    assert shown.rpartition("\r")[0].endswith(" "), "the bar is wiped out"
