"""Memory of a process that serves: what the garbage collector walks through, and what is freed."""

import gc
import weakref

import pytest

from unified_ranker.core.memory import keep_loaded, prepare_memory

MANY = 100_000


@pytest.fixture
def collector():
    """The garbage collector as it was, once a test is over."""
    thresholds, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    (gc.enable if enabled else gc.disable)()


class Thing:
    other: "Thing | None" = None


def test_a_pass_walks_through_nothing_that_was_loaded(collector):
    loaded = [[number] for number in range(MANY)]
    keep_loaded()
    assert len(gc.get_objects()) < MANY / 10
    assert loaded[-1] == [MANY - 1]


def test_what_was_loaded_is_freed_with_its_last_reference(collector):
    thing = Thing()
    freed = weakref.ref(thing)
    keep_loaded()
    gc.disable()
    del thing
    assert freed() is None


def test_cycles_from_before_are_freed_and_later_ones_after_a_while(collector):
    prepare_memory()
    gc.disable()
    before = Thing()
    before.other, freed = before, weakref.ref(before)
    del before
    keep_loaded()
    assert freed() is None
    gc.enable()
    later = Thing()
    later.other, freed = later, weakref.ref(later)
    del later
    kept = [[] for _ in range(MANY)]
    assert freed() is None, "passes are rarer and not gone"
    assert len(kept) == MANY
