"""What the user had before: counted as of the request, and the same in training and serving."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_toy import signal_request

from unified_ranker.config import Task
from unified_ranker.prepare.examples import Histories
from unified_ranker.signals.past import PastItems, RefusedItems
from unified_ranker.signals.repeats import Repeats, RepeatSignal

ITEMS = 6
HOUR = 3600
NOW = 1000 * HOUR
# Newest first: 4 stood beside 2 twice, once on either side; of 5, which is out of reach of 2, the newest is beside the
# basket of 2; -1 is an item that is not known.
RECENT = [[4, 2, 0, 5, 5, 5, -1, 2, 4, 3], [1, 1, 1, -1, -1, -1, -1, -1, -1, -1]]
# The three newest of the first user are of one basket.
TIMES = [[NOW - HOUR * h for h in hours] for hours in ([3, 3, 3, 8, 9, 15, 24, 35, 48, 63], [8, 15, 24, *[1000] * 7])]


def asked(source, recent=RECENT, times=TIMES):
    rows = len(source)
    return signal_request(rows, source_item=source, recent=recent, recent_time=times, timestamp=np.full(rows, NOW))


def signal(**changes):
    return RepeatSignal(Repeats(type="repeats", **{"window": 10, "reach": 1, **changes}), ITEMS)


def candidates(rows):
    return np.append(np.tile(np.arange(ITEMS), (rows, 1)), np.full((rows, 1), -1), 1)


def test_counts_of_the_candidate_and_beside_the_source():
    found = signal().features(asked([2, -1]), candidates(2), None).numpy()
    had = np.array([[1, 0, 2, 1, 2, 3, 0], [0, 3, 0, 0, 0, 0, 0]])
    near = np.array([[1, 0, 0, 0, 2, 1, 0], [0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(found[..., 0], np.log1p(had), atol=1e-6)
    np.testing.assert_allclose(found[..., 3], np.log1p(near), atol=1e-6)
    np.testing.assert_allclose(found[..., 4], near / 4, atol=1e-6)


def test_events_of_late_count_more():
    """The weights are 1 / sqrt(1 + hours): 1/2 after 3 hours, 1/3 after 8, 1/4, 1/5, 1/6, 1/7, 1/8 after 15 to 63."""
    found = np.expm1(signal().features(asked([-1, -1]), candidates(2), None).numpy()[..., 1])
    first = [1 / 2, 0, 1 / 2 + 1 / 6, 1 / 8, 1 / 2 + 1 / 7, 1 / 3 + 10**-0.5 + 1 / 4, 0]
    np.testing.assert_allclose(found[0], first, atol=1e-5)
    np.testing.assert_allclose(found[1], [0, 1 / 3 + 1 / 4 + 1 / 5, 0, 0, 0, 0, 0], atol=1e-5)


def test_the_last_time_counts_by_what_came_after_it_and_a_basket_has_no_order():
    found = signal().features(asked([-1, -1]), candidates(2), None).numpy()[..., 2]
    np.testing.assert_allclose(found, [[1, 0, 1, 1 / 10, 1, 1 / 4, 0], [0, 1, 0, 0, 0, 0, 0]], atol=1e-6)
    turned = [[0, 4, 2, *RECENT[0][3:]]]
    again = signal().features(asked([-1], turned, TIMES[:1]), candidates(1), None).numpy()
    np.testing.assert_allclose(again[0, :, 2], found[0], atol=1e-6)


def test_reach_and_window():
    further = signal(reach=2).features(asked([2, 1]), candidates(2), None).numpy()
    np.testing.assert_allclose(np.expm1(further[0, :, 3]), [1, 0, 0, 1, 2, 3, 0], atol=1e-5)
    shorter = signal(window=3).features(asked([2, 1]), candidates(2), None).numpy()
    np.testing.assert_allclose(np.expm1(shorter[0, :, 0]), [1, 0, 1, 0, 1, 0, 0], atol=1e-5)


def test_proposals_are_the_neighbours_of_the_source_the_newest_and_the_most_frequent_in_turns():
    """Beside 2 stood 4, 0, 5 and 4; the newest are 4, 2, 0, 5; the most frequent of late 5, 2, 4, 0, 3."""
    proposed = signal(candidates=6).proposals(asked([2, -1])).numpy()
    np.testing.assert_array_equal(proposed, [[4, 5, 0, 2, 3, -1], [1, *[-1] * 5]])
    without = signal(candidates=6).proposals(asked([-1, -1])).numpy()
    np.testing.assert_array_equal(without[0], [4, 5, 2, 0, 3, -1])
    assert signal(candidates=0).proposals(asked([2, -1])).shape == (2, 0)
    assert signal(candidates=40).proposals(asked([2, -1])).shape == (2, 40)


def test_what_was_had_often_is_proposed_though_it_is_long_ago():
    recent, times = [[0] * 6 + [1, 2, 3, 4]], [[NOW - HOUR * (40 - h) for h in range(10)]]
    proposed = signal(candidates=2).proposals(asked([-1], [recent[0][::-1]], [times[0][::-1]])).numpy()
    np.testing.assert_array_equal(proposed, [[4, 0]])


def test_a_stranger_has_none():
    found = signal().features(asked([2], [[-1] * 10], [[0] * 10]), candidates(1), None).numpy()
    assert (found == 0).all()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-1, 5), st.integers(1, 9)), min_size=1, max_size=12),
    st.lists(st.integers(-1, 6), min_size=1, max_size=5),
)
def test_what_was_had_is_counted(events, wanted):
    items, ages = [item for item, _ in events], sorted(age for _, age in events)
    request = asked([-1], [items], [[NOW - age * HOUR for age in ages]])
    found = signal(window=20).features(request, np.array([wanted]), None).numpy()[0]
    for number, item in enumerate(wanted):
        own = [age for one, age in zip(items, ages, strict=True) if one == item and item >= 0]
        later = sum(age < min(own) for age in ages) if own else 0
        late = sum((1 + age) ** -0.5 for age in own)
        expected = [np.log1p(len(own)), np.log1p(late), 1 / (1 + later) if own else 0]
        np.testing.assert_allclose(found[number, :3], expected, atol=1e-5)


def test_the_past_is_strictly_before_and_bounded():
    none = np.array([""] * 5, object)
    histories = Histories(
        offsets=np.array([0, 3, 3, 5]), item=np.array([7, 8, 9, 1, 2]), event_type=none, task=none,
        timestamp=np.array([10, 20, 20, 5, 30]), value=np.zeros(5, np.float32),
    )  # fmt: skip
    past = PastItems(histories, 2)
    user, time = np.array([0, 0, 0, 1, 2, 3, -1]), np.array([20, 21, 10, 99, 99, 99, 99])
    items, times = past.before(user, time)
    expected = [[7, -1], [9, 8], [-1, -1], [-1, -1], [2, 1], [-1, -1], [-1, -1]]
    np.testing.assert_array_equal(items, expected)
    np.testing.assert_array_equal(times, [[10, 0], [20, 20], [0, 0], [0, 0], [30, 5], [0, 0], [0, 0]])


def test_the_refused_items_are_those_of_the_declared_events_strictly_before():
    none = np.array([""] * 6, object)
    histories = Histories(
        offsets=np.array([0, 4, 6]), item=np.array([7, 8, 9, 6, 1, 2]), task=none, value=np.zeros(6, np.float32),
        event_type=np.array(["hide", "click", "hide", "cancel", "hide", "click"], object),
        timestamp=np.array([10, 20, 30, 40, 5, 30]),
    )  # fmt: skip
    like = {"positives": [{"event_type": "click"}]}
    tasks = [Task(**like), Task(**like, refusals=("hide", "cancel")), Task(**like, refusals=("cancel",))]
    refused = RefusedItems(histories, tasks, most=2)
    user, time = np.array([0, 0, 0, 0, 1, -1, 0]), np.array([99, 99, 40, 10, 99, 99, 99])
    task = np.array([1, 2, 2, 2, 2, 2, 3])
    expected = [[-1, -1], [6, 9], [9, 7], [-1, -1], [1, -1], [-1, -1], [6, -1]]
    assert refused.before(user, time, task).tolist() == expected
    assert RefusedItems(histories, tasks[:1]).before(user, time, task * 0 + 1).shape == (7, 0)


def test_a_log_without_events_has_no_past():
    none, empty = np.zeros(0, object), np.zeros(0, np.int64)
    histories = Histories(np.array([0]), empty, none, none, empty, np.zeros(0, np.float32))
    items, times = PastItems(histories, 3).before(np.array([0, -1]), np.array([5, 5]))
    assert (items == -1).all()
    assert (times == 0).all()
