"""Windows of histories against plain Python, event by event."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.windows import last_events, whole_seconds
from unified_ranker.prepare.examples import Histories, TimeIndex
from unified_ranker.signals.past import PastItems

LOGS = st.lists(st.lists(st.integers(0, 20), max_size=7).map(sorted), min_size=1, max_size=4)
"""Times of events, by user."""
ASKED = st.lists(st.tuples(st.integers(MISSING, 3), st.integers(-1, 22)), max_size=6)
"""A user, or nobody, and a moment."""


def histories_of(times):
    """Histories in which the item of an event is its row."""
    lengths = [len(own) for own in times]
    flat = np.array([time for own in times for time in own], np.int64)
    names = np.full(len(flat), "x", object)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Histories(offsets, np.arange(len(flat)), names, names, flat, np.zeros(len(flat), np.float32))


def before(times, user, moment):
    """Rows of what a user did strictly before a moment, oldest first."""
    if not 0 <= user < len(times):
        return []
    begin = sum(len(own) for own in times[:user])
    return [begin + place for place, time in enumerate(times[user]) if time < moment]


def last(times, user, moment, most):
    """Those of the last `most` whose second is whole, or too large to be whole in any window."""
    rows = before(times, user, moment)
    flat = [time for own in times for time in own]
    moments = [flat[row] for row in rows]
    return [
        row
        for row in rows[-most:]
        if sum(time >= flat[row] for time in moments) <= most or moments.count(flat[row]) > most
    ]


@given(LOGS, ASKED, st.integers(1, 5), st.integers(0, 9), st.booleans())
def test_a_window_holds_the_last_whole_seconds_strictly_before_its_moment(times, asked, most, width, newest_first):
    histories = histories_of(times)
    known = [(user, moment) for user, moment in asked if 0 <= user < len(times)]
    user, moment = (np.array(part, np.int64) for part in (zip(*known, strict=True) if known else ([], [])))
    end = TimeIndex(histories.offsets, histories.timestamp).end(user, moment)
    kept = whole_seconds(end, end - histories.offsets[user], most, histories.timestamp)
    windows = last_events(end, kept, width, newest_first)
    expected = [last(times, *pair, most) for pair in known]
    if newest_first:
        expected = [rows[::-1] for rows in expected]
    longest = max([width, *map(len, expected)])
    padded = windows.pad(histories.item[windows.rows], MISSING)
    assert padded.tolist() == [rows + [MISSING] * (longest - len(rows)) for rows in expected]
    assert padded.shape == (len(known), longest)
    assert windows.length.tolist() == [len(rows) for rows in expected]
    assert windows.rows.tolist() == [row for rows in expected for row in rows]


@given(LOGS, ASKED, st.integers(1, 5))
def test_histories_and_past_items_have_the_same_window_and_nobody_an_empty_one(times, asked, most):
    histories = histories_of(times)
    user, moment = (np.array(part, np.int64) for part in (zip(*asked, strict=True) if asked else ([], [])))
    strangers = user >= len(times)
    counted = histories.lengths_before(np.where(strangers, MISSING, user), moment)
    windows = histories.windows(np.where(strangers, MISSING, user), counted, most)
    expected = [last(times, *pair, most) for pair in asked]
    assert windows.rows.tolist() == [row for rows in expected for row in rows]
    past, _ = PastItems(histories, most).before(user, moment)
    assert past.tolist() == [rows[::-1] + [MISSING] * (most - len(rows)) for rows in expected]


def test_a_window_holds_as_many_events_as_are_asked_for():
    windows = last_events(np.array([5, 9]), np.array([3, 4]))
    assert windows.pad(windows.rows, MISSING).tolist() == [[2, 3, 4, MISSING], [5, 6, 7, 8]]


def test_a_column_keeps_its_type():
    windows = last_events(np.array([2, 2]), np.array([2, 0]))
    texts = windows.pad(np.array(["a", "b"], object), "")
    assert texts.tolist() == [["a", "b"], ["", ""]]
    assert windows.pad(np.float32([1, 2]), 0).dtype == np.float32
