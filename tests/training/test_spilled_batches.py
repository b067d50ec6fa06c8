"""Training windows from shards: every example once with its own past, in another order each epoch."""

from itertools import pairwise

import numpy as np
import pytest

from unified_ranker.core.arrays import MISSING
from unified_ranker.model.inputs import RequestIndices, TrainingExamples
from unified_ranker.tasks.encoded_state import Labels
from unified_ranker.towers.history import HistoryEvents
from unified_ranker.training.spilled_batches import SpilledBatches, cut_users
from unified_ranker.training.window_batches import WindowBatches


@pytest.fixture
def batches(toy_prepared, make_config, tmp_path):
    """All batches of the toy log in memory and, in shards of about 50 examples, on disk."""
    config, prepared = make_config(), toy_prepared
    examples, rows = prepared.examples, len(prepared.examples)
    events = len(prepared.histories.item)
    numbers = np.arange(events)
    indices = HistoryEvents(prepared.histories.item, numbers, numbers, numbers, numbers.astype(np.float32))
    serial = np.arange(rows)
    targets = np.stack([examples.item, serial], 1)
    weight, decay = examples.weight, targets.astype(np.float32)
    labels = Labels(examples.item, serial, weight, examples.value, weight, targets, decay)
    request = RequestIndices(*([serial] * 5), timestamp=examples.timestamp, position=examples.history_length)
    looked_up = TrainingExamples(request, serial, labels)
    whole = WindowBatches(prepared, examples, indices, looked_up, config)
    return whole, SpilledBatches(whole, prepared, config, tmp_path / "windows", 50)


def test_every_example_comes_once_an_epoch_with_what_was_looked_up(batches):
    whole, spilled = batches
    for epoch in (0, 1):
        made = list(spilled.epoch(epoch))
        assert len(made) == spilled.steps
        serial = np.concatenate([b.examples.query for b in made])
        np.testing.assert_array_equal(np.sort(serial), np.arange(len(whole.examples)))
        for name, column in whole.looked_up.by_name().items():
            if name != "request/position":
                found = np.concatenate([b.examples.by_name()[name] for b in made])
                np.testing.assert_array_equal(found, column[serial], err_msg=name)


def test_an_example_sees_the_newest_events_before_it(batches):
    whole, spilled = batches
    seen = 0
    for batch in spilled.epoch(0):
        for at, serial in enumerate(batch.examples.query.tolist()):
            user, length = whole.examples.user[serial], whole.examples.history_length[serial]
            row, position = batch.row[at], batch.examples.request.position[at]
            if user == MISSING or length == 0:
                assert position == 0
                continue
            newest = whole.offsets[user] + length - 1
            assert batch.windows.events.event_type[row, position - 1] == newest, "its number in the flat columns"
            assert batch.windows.events.item[row, position - 1] == whole.events.item[newest]
            seen += 1
    assert seen > 50


def test_epochs_differ_in_order_and_repeat_themselves(batches):
    _, spilled = batches

    def order(epoch):
        return np.concatenate([b.examples.query for b in spilled.epoch(epoch)]).tolist()

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_users_stay_whole_and_shards_are_about_as_large_as_asked(toy_prepared):
    examples, users = toy_prepared.examples, len(toy_prepared.users)
    ranges = cut_users(examples, users, 50)
    assert len(ranges) > 2
    counts = [int(((examples.user >= a) & (examples.user < b)).sum()) for a, b in ranges]
    assert sum(counts) == len(examples)
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))
    most = np.bincount(examples.user + 1).max()
    assert max(counts) <= 50 + most
