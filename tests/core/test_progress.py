"""Progress: who hears of it, and when."""

import threading

import pytest

from unified_ranker.core.progress import Progress, listener, listening, silent


def heard_of(work):
    """Do the work, and return what the listener heard: parts done, note, and whether it was over."""
    heard = []
    with listening(lambda p: heard.append((p.done, p.note, p.ended))):
        work()
    return heard


def test_the_listener_hears_the_beginning_each_part_and_the_end():
    def work():
        with Progress("train", 4, "steps", done=1) as progress:
            progress.advance()
            progress.advance(2, note="loss 0.500")

    assert heard_of(work) == [(1, "", False), (2, "", False), (4, "loss 0.500", False), (4, "loss 0.500", True)]


def test_work_that_fails_has_ended():
    def work():
        with pytest.raises(OSError, match="disk"), Progress("write", 2, "files"):
            raise OSError("disk")

    assert heard_of(work)[-1] == (0, "", True)


def test_nobody_hears_outside_of_the_context_nor_in_another_thread():
    heard = []
    with listening(heard.append):
        other = threading.Thread(target=lambda: Progress("elsewhere", 1, "parts").advance())
        other.start()
        other.join()
    Progress("later", 1, "parts").advance()
    assert heard == []
    assert listener() is silent
