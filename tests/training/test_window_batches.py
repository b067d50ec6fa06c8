"""Training batches against each example's own history, cut out of the log by itself."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_by_rows import event, log_of

from unified_ranker.core.arrays import MISSING
from unified_ranker.log.schema import normalise
from unified_ranker.model.inputs import RequestIndices, TrainingExamples
from unified_ranker.prepare.prepared import prepare
from unified_ranker.tasks.encoded_state import Labels
from unified_ranker.towers.history import HistoryEvents
from unified_ranker.training.window_batches import ANONYMOUS_PER_WINDOW, WindowBatches

TASKS: Mapping[str, Mapping] = {
    "home_feed": {"positives": [{"event_type": "like"}]},
    "search": {"positives": [{"event_type": "like"}]},
}


def numbered(names):
    return pd.factorize(np.asarray(names, object))[0].astype(np.int64) + 1


def batches_of(prepared, config, examples=None):
    """Batches whose `query` is the number of the example, so that each can be told from the others."""
    examples = prepared.examples if examples is None else examples
    histories = prepared.histories
    events = HistoryEvents(
        item=histories.item,
        event_type=numbered(histories.event_type),
        task=numbered(histories.task),
        gap=histories.gaps(),
        value=histories.value,
    )
    number = np.arange(len(examples))
    request = RequestIndices(
        task=numbered(examples.task),
        source=number + 1,
        country=number + 2,
        previous_task=number + 3,
        gap=number + 4,
        timestamp=examples.timestamp,
        position=examples.history_length,
    )
    targets = np.stack([examples.item, number], 1)
    weight, decay = examples.weight, targets.astype(np.float32)
    labels = Labels(examples.item, number + 5, weight, examples.value, weight, targets, decay)
    looked_up = TrainingExamples(request, number, labels)
    return WindowBatches(prepared, examples, events, looked_up, config), events, looked_up


def small(make_config, length, batch_examples=8, seed=3):
    return make_config(
        TASKS,
        {"user": {"history_length": length}, "item": {}},
        training={"batch_examples": batch_examples},
        seed=seed,
    )


def likes_of(users, minutes, items=3):
    """Likes by users (numbers, None = anonymous) at minutes."""
    rows = [
        event(
            None if user is None else f"u{user}",
            f"i{n % items}",
            minute / 60,
            "home_feed" if n % 3 else "search",
            value=float(n),
        )
        for n, (user, minute) in enumerate(zip(users, minutes, strict=True))
    ]
    return log_of(rows, {"item_id": [f"i{n}" for n in range(items)]})


def check_epoch(prepared, examples, config, epoch):
    """Check every example of an epoch against its own history; returns their numbers in order."""
    batches, events, looked_up = batches_of(prepared, config, examples)
    histories, length = prepared.histories, config.towers.user.history_length
    seen = []
    produced = list(batches.epoch(epoch))
    assert len(produced) == batches.steps
    for batch in produced:
        windows, width = batch.windows.events.item.shape
        assert windows == len(batch.windows.user) == len(np.unique(batch.row))
        assert len(batch.examples.query) > 0
        for place, number in enumerate(batch.examples.query):
            user, before = examples.user[number], examples.history_length[number]
            row, position = batch.row[place], batch.examples.request.position[place]
            expected = 0 if user == MISSING else before
            begin = 0 if user == MISSING else histories.offsets[user]
            times = histories.timestamp[begin : begin + expected]
            # A second that a window would divide is left out, with all before it.
            fits = [
                first
                for first in range(expected + 1)
                if first in (0, expected)
                or times[first - 1] < times[first]
                or np.count_nonzero(times == times[first]) > length
            ]
            least, most = (
                next(expected - n for n in fits if expected - n <= bound) for bound in (-(-length // 4), length)
            )
            assert least <= position <= most
            assert expected - position in fits
            assert batch.windows.user[row] == (len(prepared.users) if user == MISSING else user)
            begin = 0 if user == MISSING else histories.offsets[user]
            span = np.arange(begin + expected - position, begin + expected)
            assert (histories.timestamp[span] < examples.timestamp[number]).all()
            for name, column in events.by_name().items():
                own = column[span].copy()
                if name == "gap":
                    own[:1] = 0
                assert getattr(batch.windows.events, name)[row, :position].tolist() == own.tolist()
            for name, column in batch.examples.by_name().items():
                if name != "request/position":
                    np.testing.assert_array_equal(column[place], looked_up.by_name()[name][number], err_msg=name)
            seen.append(int(number))
        check_windows(batch, width, length)
    assert sorted(seen) == list(range(len(examples))), "every example once"
    return seen


def check_windows(batch, width, length):
    """A window ends with the last event that any of its examples sees; what follows is blank."""
    ends = np.zeros(len(batch.windows.user), np.int64)
    np.maximum.at(ends, batch.row, batch.examples.request.position)
    assert width >= ends.max()
    assert ends.max() <= length
    behind = np.arange(width)[None] >= ends[:, None]
    for name, column in batch.windows.events.by_name().items():
        assert (column[behind] == (MISSING if name in ("item", "gap") else 0)).all()


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.integers(0, 30)), min_size=6, max_size=60),
    st.integers(2, 12),
    st.integers(0, 3),
)
def test_every_example_comes_once_with_its_own_past(make_config, rows, length, epoch):
    config = small(make_config, length)
    prepared = prepare(likes_of(*zip(*rows, strict=True)), config)
    check_epoch(prepared, prepared.examples, config, epoch)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_slice_of_a_richer_log(make_log, make_config, seed):
    config = make_config(training={"batch_examples": 16})
    prepared = prepare(make_log(seed), config)
    fit = prepared.between(prepared.split.train_end // 2, prepared.split.validation_end)
    assert (fit.user == MISSING).any()
    check_epoch(prepared, fit, config, 1)


def test_long_histories_are_seen_from_varying_distances(make_config):
    """Over the epochs an example sees long and short pasts, all within the bounds (of `check_epoch`)."""
    config = small(make_config, length=8)
    prepared = prepare(likes_of([0] * 50, range(50)), config)
    batches, _, _ = batches_of(prepared, config)
    positions = {n: set() for n in range(50)}
    for epoch in range(30):
        for batch in batches.epoch(epoch):
            examples = batch.examples
            for number, position in zip(examples.query.tolist(), examples.request.position.tolist(), strict=True):
                positions[number].add(position)
    assert positions[1] == {1}
    assert positions[40] == {3, 4, 5, 6, 7, 8}


def flat(batches, epoch):
    return [{name: column.tobytes() for name, column in batch.by_name().items()} for batch in batches.epoch(epoch)]


def test_an_epoch_is_the_same_each_time_and_unlike_the_others(toy_prepared, make_config):
    config = make_config(training={"batch_examples": 16})
    batches, _, _ = batches_of(toy_prepared, config)
    again, _, _ = batches_of(toy_prepared, config)
    reseeded, _, _ = batches_of(toy_prepared, make_config(training={"batch_examples": 16}, seed=4))
    first = flat(batches, 0)
    second = flat(batches, 1)
    assert first != second
    assert flat(reseeded, 0) != first
    # In any order, and from a fresh object, as after a restart.
    assert flat(again, 1) == second
    assert flat(batches, 0) == first


def test_every_epoch_has_as_many_batches_of_about_the_declared_size(make_config):
    config = small(make_config, length=4, batch_examples=50)
    rng = np.random.default_rng(0)
    prepared = prepare(likes_of(rng.integers(0, 40, 500).tolist(), rng.integers(0, 5000, 500)), config)
    batches, _, _ = batches_of(prepared, config)
    assert batches.steps == 10
    for epoch in range(3):
        sizes = [len(batch.row) for batch in batches.epoch(epoch)]
        assert len(sizes) == 10
        assert 25 <= min(sizes) <= max(sizes) <= 100


def test_a_window_is_never_torn_so_one_user_may_make_one_batch(make_config):
    config = small(make_config, length=100)
    prepared = prepare(likes_of([0] * 40, range(40)), config)
    batches, _, _ = batches_of(prepared, config)
    assert batches.steps == 1
    assert [len(batch.row) for batch in batches.epoch(0)] == [40]


def test_anonymous_examples_fill_batches_of_their_own(make_config):
    count = 3 * ANONYMOUS_PER_WINDOW
    config = small(make_config, length=8, batch_examples=ANONYMOUS_PER_WINDOW)
    prepared = prepare(likes_of([None] * count, range(count)), config)
    batches, _, _ = batches_of(prepared, config)
    assert batches.steps == 3
    produced = list(batches.epoch(0))
    assert [len(batch.row) for batch in produced] == [ANONYMOUS_PER_WINDOW] * 3
    for batch in produced:
        assert batch.windows.user.tolist() == [0]
        assert (batch.row == 0).all()
        assert (batch.examples.request.position == 0).all()
        assert (batch.windows.events.item == MISSING).all()
    check_epoch(prepared, prepared.examples, config, 0)


def test_a_user_without_events_disturbs_nobody(make_config):
    config = small(make_config, length=4)
    log = likes_of([1, 1, 3, 3], [0, 1, 5, 9])
    users = pd.DataFrame({"user_id": ["u0", "u1", "u2", "u3", "u4"]})
    prepared = prepare(normalise(log.events, log.items, users), config)
    assert prepared.histories.gaps().tolist() == [0, 60, 0, 240]
    check_epoch(prepared, prepared.examples, config, 0)


# --- windows of what users do now ---------------------------------------------------------------------------------


def taken(make_config, share, epochs=6):
    """Numbers of the examples of each epoch: one user with 90 events, one with 3, and nobody known."""
    users = [0] * 90 + [1] * 3 + [None] * 5
    prepared = prepare(
        likes_of(users, range(len(users))), make_config(TASKS, {"user": {"history_length": 8}, "item": {}})
    )
    training = {"batch_examples": 8, "older_windows": share}
    config = make_config(TASKS, {"user": {"history_length": 8}, "item": {}}, training=training)
    batches, _, _ = batches_of(prepared, config)
    found = []
    for epoch in range(epochs):
        produced = list(batches.epoch(epoch))
        assert len(produced) == batches.steps
        assert all(len(batch.examples.query) for batch in produced)
        numbers = np.concatenate([batch.examples.query for batch in produced])
        assert len(set(numbers.tolist())) == len(numbers)
        assert numbers.tolist() == np.concatenate([batch.examples.query for batch in batches.epoch(epoch)]).tolist()
        found.append(set(numbers.tolist()))
    return found, len(prepared.examples)


def test_every_window_in_every_epoch(make_config):
    found, count = taken(make_config, 1.0)
    assert all(numbers == set(range(count)) for numbers in found)


def test_only_the_last_window_of_each_user(make_config):
    found, count = taken(make_config, 0.0)
    for numbers in found:
        # The user with few events and those who are nobody have one window; of 90 events the last few are left.
        assert set(range(count - 9, count)) <= numbers
        assert min(numbers) >= 90 - 9


def test_a_share_of_the_older_windows_others_in_each_epoch(make_config):
    found, count = taken(make_config, 0.5, epochs=20)
    assert all(set(range(count - 9, count)) <= numbers for numbers in found)
    old = [len([n for n in numbers if n < 80]) for numbers in found]
    assert 25 < np.mean(old) < 55
    assert len({frozenset(numbers) for numbers in found}) > 15
    assert set.union(*found) == set(range(count))
