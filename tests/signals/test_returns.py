"""The chance that a user comes back to an item: from counts and times of the user's own events, fitted on the log."""

import numpy as np
import pandas as pd
import pytest
import tiny_world
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_toy import signal_request

from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import prepare
from unified_ranker.signals.base import SignalInputs
from unified_ranker.signals.returns import INPUTS, Returns, chance_inputs, earlier_items, of_events

HOUR, DAY = 3600, 24 * 3600
NOW = 10_000 * HOUR
EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=12)


def columns(events, width=12):
    """Items and times of (item, hours ago), newest first, with blanks behind."""
    ordered = sorted(events, key=lambda event: event[1])
    blank = width - len(ordered)
    items = [item for item, _ in ordered] + [-1] * blank
    return np.array([items]), np.array([[NOW - HOUR * ago for _, ago in ordered] + [0] * blank])


def inputs_of(events, items=4):
    found = chance_inputs(*columns(events), np.array([NOW]), np.arange(items)[None], items).numpy()[0]
    return found[:, :7], found[:, 7:]


@settings(deadline=None, max_examples=60)
@given(EVENTS)
def test_counts_and_times_are_those_of_a_plain_computation(events):
    numbers, _ = inputs_of(events)
    moments = sorted({ago for _, ago in events})
    for item in range(4):
        ages = np.array([ago for own, ago in events if own == item], float)
        if not len(ages):
            assert not numbers[item].any()
            continue
        visits = len(set(ages.tolist()))
        like = [np.exp(4 * (np.cos(2 * np.pi * ages / period) - 1)).sum() for period in (24, 168)]
        wanted = [
            1 + np.log(visits),
            np.log(len(ages)),
            np.log((1 / np.sqrt(1 + ages)).sum()),
            np.log(visits / len(moments)),
            np.log1p(moments.index(ages.min())),
            *(np.log((sums + 0.2) / (len(ages) + 1)) for sums in like),
        ]
        np.testing.assert_allclose(numbers[item], wanted, atol=2e-4)


@settings(deadline=None, max_examples=40)
@given(EVENTS, st.randoms(use_true_random=False))
def test_what_is_simultaneous_has_no_order(events, random):
    items, times = columns(events)
    moved = list(range(len(events)))
    random.shuffle(moved)
    moved.sort(key=lambda place: -times[0, place])
    turned = [*moved, *range(len(events), items.shape[1])]
    asked = np.array([NOW]), np.arange(4)[None], 4
    np.testing.assert_allclose(
        chance_inputs(items[:, turned], times[:, turned], *asked), chance_inputs(items, times, *asked), atol=1e-5
    )


def test_an_item_that_is_due_is_distinguished_from_one_that_was_just_had():
    """Item 0 every ten hours, the last ten ago; item 1 every ten hours, the last one ago: knots 0 and -2."""
    events = [(0, 10), (0, 20), (0, 30), (1, 1), (1, 11), (1, 21)]
    _, rest = inputs_of(events)
    due = rest[:, 1:14]
    assert due[0].argmax() == 6
    ratio = np.log2(2 / 11)
    place = (ratio + 3) / 0.5
    assert due[1].argmax() == round(place)
    np.testing.assert_allclose(due[:2].sum(1), 1, atol=1e-5)
    assert rest.shape[1] == INPUTS - 7


def test_earlier_items_are_each_there_once():
    recent = np.array([[3, 1, 3, -1], [-1, -1, -1, -1], [2, 2, 0, 1]])
    np.testing.assert_array_equal(earlier_items(recent, 5), [[1, 3, -1], [-1, -1, -1], [0, 1, 2]])
    assert earlier_items(np.full((2, 4), -1), 5).shape == (2, 1)


def test_events_of_one_second_are_one_visit():
    found = of_events(np.array([[1, 1, 2, 1]]), np.array([[9, 9, 9, 4]]))
    np.testing.assert_array_equal(found.visit.numpy(), [[True, False, True, True]])
    np.testing.assert_array_equal(found.newest.numpy(), [[True, False, True, False]])
    np.testing.assert_array_equal(found.oldest.numpy(), [[False, False, True, True]])
    np.testing.assert_array_equal(found.later.numpy(), [[0, 0, 0, 1]])


def cafes(task="more_like_this"):
    """Forty users who are in one place of their own each morning at 8, in another each evening at 20, for 30 days."""
    rows = []
    for user in range(tiny_world.USERS):
        morning, evening = (f"i{(user + n) % 18:02d}" for n in (0, 5))
        for day in range(30):
            for hour, item in ((8, morning), (20, evening)):
                time = tiny_world.START + pd.Timedelta(days=day, hours=hour)
                rows.append((f"u{user:02d}", item, time, task, "click"))
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "task", "event_type"])
    users = pd.DataFrame({"user_id": sorted(events["user_id"].unique())})
    log = normalise(events, tiny_world.items_table(), users)
    config = tiny_world.config()
    return prepare(log, config.model_copy(update={"tasks": {task: config.tasks[task]}}))


def signal_of(prepared, task="more_like_this", days=25):
    end = int(tiny_world.START.timestamp()) + days * DAY
    return Returns(type="returns", candidates=3).build(SignalInputs(prepared, end, (task,))), end


def visits(end, hour):
    """A request on the last day at an hour, of a user who had item 1 at 8 and item 2 at 20 for ten days."""
    events = [(item, day, at) for day in range(1, 11) for item, at in ((2, 20), (1, 8))]
    times = [end - day * DAY + at * HOUR for _, day, at in events]
    return signal_request(
        1,
        recent=[[item for item, _, _ in events]],
        recent_time=[times],
        task=[1],
        timestamp=[end + hour * HOUR],
    )


@pytest.fixture(scope="module")
def learnt_cafes():
    return signal_of(cafes())


def test_the_place_of_the_morning_is_likelier_in_the_morning(learnt_cafes):
    signal, end = learnt_cafes
    items = np.array([[0, 1, 2, -1]])
    for hour, first, second in ((8, 1, 2), (20, 2, 1)):
        chances = signal.features(visits(end, hour), items, None).numpy()[0, :, 0]
        assert chances[first] > chances[second] + 0.5
        assert chances[0] == chances[3] == 0
        np.testing.assert_array_equal(signal.proposals(visits(end, hour)).numpy()[0, :2], [first, second])


def test_where_nobody_comes_back_nothing_is_said():
    events = tiny_world.events_table().drop_duplicates(["user_id", "item_id"])
    config = tiny_world.config()
    prepared = prepare(normalise(events, tiny_world.items_table(), tiny_world.users_table()), config)
    signal, end = signal_of(prepared, "search", 60)
    assert signal.features(visits(end, 8), np.array([[1, 2]]), None).numpy().max() < 1e-6
    assert (signal.proposals(visits(end, 8)).numpy() == -1).all()
