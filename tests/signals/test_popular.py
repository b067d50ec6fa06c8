"""Signal `popular`: positives of the request's task, counted from the log before the end of the fit window."""

import numpy as np
import pytest
import tiny_world
from signal_toy import signal_request

from unified_ranker.signals.base import SIGNALS, SignalInputs
from unified_ranker.towers.tensorflow import tf

TASKS = tuple(tiny_world.TASKS)
EVERYTHING = 0


def end():
    return tiny_world.prepared().split.train_end


@pytest.fixture(scope="module")
def counts():
    """Positives by task, `[1 + tasks, items]`; the first row has those of all tasks."""
    world = tiny_world.prepared()
    rows = np.zeros((1 + len(TASKS), len(world.items)), int)
    for task, item, time in zip(world.examples.task, world.examples.item, world.examples.timestamp, strict=True):
        if time < end():
            rows[[EVERYTHING, 1 + TASKS.index(task)], item] += 1
    return rows


def popular(most=5):
    declared = SIGNALS["popular"].model_validate({"type": "popular", "candidates": most})
    return declared.build(SignalInputs(tiny_world.prepared(), end(), TASKS))


def ask():
    return signal_request(1 + len(TASKS), task=np.arange(1 + len(TASKS)))


def test_each_task_has_its_own_counts_and_an_unknown_one_those_of_all(counts):
    items = counts.shape[1]
    candidates = tf.constant(np.tile([*range(items), -1], (len(counts), 1)), tf.int64)
    found = popular().features(ask(), candidates, None).numpy()
    np.testing.assert_allclose(found[:, :-1, 0], np.log1p(counts), rtol=1e-5)
    assert not found[:, -1].any()
    assert len({tuple(row) for row in counts}) == len(counts)


def test_the_most_popular_of_the_task_are_proposed(counts):
    for row, proposed in enumerate(popular().proposals(ask()).numpy()):
        assert counts[row][proposed].tolist() == np.sort(counts[row])[::-1][:5].tolist()
        assert len(set(proposed.tolist())) == 5


def test_what_nobody_chose_is_not_proposed(counts):
    """The twins have no positive; there are fewer items than it may propose."""
    for row, proposed in enumerate(popular(40).proposals(ask()).numpy()):
        assert proposed.shape == (40,)
        assert set(proposed[proposed >= 0]) == set(np.flatnonzero(counts[row]))
        assert (proposed[np.count_nonzero(counts[row]) :] == -1).all()
