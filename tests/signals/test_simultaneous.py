"""Events of one second have no order: other ids and another order of the rows change no count and no feature."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_by_rows import event, item, world
from signal_toy import signal_request

from unified_ranker.config import Positive, Task
from unified_ranker.core.request import NO_HISTORY, Request, to_arrays
from unified_ranker.core.times import HOUR
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.signals.history_pairs import cosines, items_of_users, transition_shares
from unified_ranker.signals.later_events import later_events
from unified_ranker.signals.nearby import Nearby, NearbySignal, nearest_items
from unified_ranker.signals.ordered_pairs import MOST_OF_ONE_SECOND, ordered_pairs
from unified_ranker.signals.pair_counts import pairs_from_histories
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.example_labels import next_targets

ITEMS, USERS, WINDOW = 6, 3, 3
LOGS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, USERS - 1)),
        st.integers(0, ITEMS - 1),
        st.integers(0, 6),
        st.sampled_from(["like", "order", "other"]),
    ),
    min_size=6,
    max_size=40,
    unique=True,
)
TASK = Task(positives=(Positive(event_type="like"), Positive(event_type="order")), first_engagement_only=True)


def prepared_log(rows, user_ids, item_ids):
    """Prepare a log of (user, item, hour, event type), with these ids for the numbers."""
    events = [
        event(None if user is None else user_ids[user], item_ids[thing], hour, event_type=kind)
        for user, thing, hour, kind in rows
    ]
    # A second with more events than a window is read in the order of the items' creation.
    catalogue = [item(item_ids[number], created=-1 - number) for number in range(ITEMS)]
    return world([event(user_ids[0], item_ids[0], 0), *events], catalogue, {"home_feed": TASK})[0]


def facts(prepared, item_ids, user_ids):
    """What is counted of a log, by the numbers of items and users, whatever their ids."""
    index = {name: number for number, name in enumerate(prepared.item_ids)}
    own = np.array([index[name] for name in item_ids])
    examples, end = prepared.examples, int(prepared.events.timestamp.max()) + 1
    thing = {name: number for number, name in enumerate(item_ids)}
    who = {name: number for number, name in enumerate(user_ids)}
    names = np.append(prepared.item_ids, "")
    targets, decay = next_targets(examples, 3, 1.0)
    columns = (examples.timestamp, examples.head, examples.retrieved, examples.history_length)
    rows = [
        (
            -1 if user < 0 else who[prepared.user_ids[user]],
            thing[names[items[0]]],
            sorted((thing[names[i]], round(w, 6)) for i, w in zip(items, weights, strict=True) if i >= 0),
            *row,
        )
        for user, items, weights, *row in zip(
            *(column.tolist() for column in (examples.user, targets, decay, *columns)), strict=True
        )
    ]
    # Windows of both ways to them, with the events of each second in any one order.
    arrays = request_arrays(examples, prepared, WINDOW)
    asked = [
        Request(
            "",
            "",
            timestamp=int(t),
            history=LogHistory(prepared).before(prepared.user_ids[u], int(t)) if u >= 0 else NO_HISTORY,
        )
        for u, t in zip(examples.user, examples.timestamp, strict=True)
    ]
    for sent in (arrays, to_arrays(asked, WINDOW)):
        columns = [sent[f"history_{name}"].tolist() for name in ("timestamp", "item_id", "event_type", "task", "value")]
        windows = [
            sorted((t, thing[i], *rest) for t, i, *rest in zip(*own, strict=True) if i)
            for own in zip(*columns, strict=True)
        ]
        rows = [(*row, window) for row, window in zip(rows, windows, strict=True)]
    last = prepared.histories.last_before(examples.user, examples.history_length)
    common = np.append(prepared.histories.common(prepared.histories.item), -1)[last]
    rows = [(*row, -1 if item < 0 else thing[prepared.item_ids[item]]) for row, item in zip(rows, common, strict=True)]
    matrices = (
        pairs_from_histories(prepared.histories, 2, ITEMS).matrix(end),
        transition_shares(prepared.histories, end, ITEMS, 3),
        cosines(items_of_users(prepared.histories, end, ITEMS), ITEMS),
    )
    return sorted(rows), prepared.split, [matrix.toarray()[np.ix_(own, own)] for matrix in matrices]


@settings(max_examples=40, deadline=None)
@given(LOGS, st.permutations(range(ITEMS)), st.permutations(range(USERS)), st.randoms())
def test_other_ids_and_another_order_of_the_rows_change_no_count(rows, items, users, random):
    plain = [f"i{n}" for n in range(ITEMS)], [f"u{n}" for n in range(USERS)]
    renamed = [f"i{n}" for n in items], [f"u{n}" for n in users]
    shuffled = sorted(rows, key=lambda _: random.random())
    before = facts(prepared_log(rows, plain[1], plain[0]), *plain)
    after = facts(prepared_log(shuffled, renamed[1], renamed[0]), *renamed)
    assert before[:2] == after[:2]
    for left, right in zip(before[2], after[2], strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(-1, 3)), max_size=20)


@given(EVENTS.map(lambda events: sorted(events, key=lambda row: row[:2])), st.integers(1, 4))
def test_pairs_are_those_of_an_earlier_second_within_reach(events, reach):
    user, time, thing = (np.array([row[n] for row in events], np.int64) for n in range(3))
    pairs = zip(*ordered_pairs(user, time, thing, reach), strict=True)
    found = [(events[a], events[b], int(distance)) for a, b, distance in pairs]
    once, expected = sorted(set(events)), []
    for one in once:
        for other in once:
            distance = 1 + sum(one[0] == who and one[1] < when < other[1] for who, when, _ in once)
            if one[0] == other[0] and one[1] < other[1] and distance <= reach:
                expected.append((one, other, distance))
    assert sorted(found) == sorted(expected)


def test_an_import_of_many_events_at_once_makes_no_pairs():
    for size, pairs in ((MOST_OF_ONE_SECOND, 2 * MOST_OF_ONE_SECOND), (MOST_OF_ONE_SECOND + 1, 0)):
        time = np.array([0] + [1] * size + [2])
        first, _, _ = ordered_pairs(np.zeros(len(time), np.int64), time, np.arange(len(time)), 1)
        assert len(first) == pairs


@pytest.mark.parametrize(
    ("times", "later"), [([9, 7, 7, 7, 3], [0, 1, 1, 1, 4]), ([5, 5], [0, 0]), ([5], [0]), ([-3, -4, 0], [0, 1, 2])]
)
def test_later_events_are_those_of_a_later_second(times, later):
    assert later_events(tf.constant([times, times], tf.int64)).numpy().tolist() == [later, later]


def test_no_place_of_the_newest_second_is_the_last():
    points = Nearby(type="nearby").points(pd.DataFrame({"latitude": [1.0, 2, 9], "longitude": [1.0, 2, 9]}))
    signal = NearbySignal(points, nearest_items(points, 2), 20, 2)
    candidates = tf.constant([[0, 1, 2]], tf.int64)
    found = [
        signal.features(
            signal_request(1, recent=[recent], recent_time=[[5 * HOUR, 5 * HOUR, HOUR]], timestamp=[6 * HOUR]),
            candidates,
            None,
        ).numpy()
        for recent in ([0, 2, 1], [2, 0, 1])
    ]
    np.testing.assert_allclose(*found, rtol=1e-6)
    assert found[0][0, 0, 0] == found[0][0, 2, 0] > found[0][0, 1, 0]


@pytest.mark.parametrize(("size", "read"), [(1, 2), (2, 1), (3, 2), (80, 2)])
def test_the_last_events_are_whole_seconds_unless_one_is_too_large_to_be_whole(size, read):
    """One newer event, a second of so many, and one that is older."""
    times = [9, *[7] * size, 3]
    asked = signal_request(1, recent=[[*range(len(times))]], recent_time=[times])
    items, moments = (column.numpy()[0].tolist() for column in asked.last(2))
    assert items == [*range(read)]
    assert moments == times[:read]
