"""Sliding counts against those of the whole log as of the same moment, whatever the order in which events come."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.times import DAY, HOUR
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.quality import trending
from unified_ranker.prepare.quality_types.popularity_feature import PopularityFeature, scaled_popularity
from unified_ranker.release.counts import CountsDescription, StoredCounts
from unified_ranker.serving.answering.live_popularity import LivePopularity
from unified_ranker.serving.answering.stored_popularity import StoredPopularity

IDS = np.array(["a", "b", "c"], object)
ALL = np.array([*IDS, "new", "newer"], object)
WINDOWS = {"ever": None, "day": 1.0, "hours": 0.1}
FEATURES = {name: PopularityFeature(type="popularity", window_days=days) for name, days in WINDOWS.items()}
SCALES = {"ever": 2.0, "day": 1.0, "hours": 0.5}
FIT_END, END, MOST = 20 * DAY, 22 * DAY, 4

event = st.tuples(
    st.integers(17 * DAY, 26 * DAY), st.integers(0, len(ALL) - 1), st.lists(st.booleans(), min_size=3, max_size=3)
)


def columns(events):
    counted = np.array([own for _, _, own in events], bool).reshape(-1, 3).T
    return np.array([i for _, i, _ in events], np.int64), np.array([t for t, _, _ in events], np.int64), counted


def stored(directory, events):
    """What the release of a log has of the events up to `END`; also through its files."""
    begin = FIT_END - DAY
    item, time, counted = columns(sorted((e for e in events if e[0] <= END and e[1] < len(IDS)), key=lambda e: e[0]))
    before = np.stack([np.bincount(item[own & (time < begin)], minlength=len(IDS)) for own in counted])
    before[1:] = 0
    kept = (time >= begin) & counted.any(0)
    described = CountsDescription(scales=SCALES, exact_from=FIT_END, end=END, trending=MOST)
    found = StoredCounts(described, FEATURES, before, item[kept], time[kept], counted[:, kept])
    out = StoredPopularity(directory, found.write(directory), FEATURES, IDS)
    assert out.counts.item.tolist() == found.item.tolist()
    return out


def whole(events):
    """Counts of all events: those of new items in the log do not count, because a log has none."""
    events = sorted((e for e in events if e[0] > END or e[1] < len(IDS)), key=lambda e: e[0])
    item, time, counted = columns(events)
    ones = np.ones(len(item), np.float32)
    return [
        CountsAsOf(Stream(item[own], time[own], ones[own]), len(ALL), feature.window)
        for own, feature in zip(counted, FEATURES.values(), strict=True)
    ]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    root, state = tmp_path_factory.mktemp("counts"), SimpleNamespace(made=0)

    def fresh():
        state.made += 1
        return root / str(state.made)

    return fresh


@given(
    events=st.lists(event, max_size=30),
    random=st.randoms(use_true_random=False),
    moments=st.lists(st.integers(FIT_END, 27 * DAY), min_size=1, max_size=5).map(sorted),
    batches=st.integers(1, 4),
)
def test_counts_are_those_of_the_log_as_of_the_same_moment(scratch, events, random, moments, batches):
    """Events come late, early and in any order; all have come at the last moment."""
    live = LivePopularity(stored(scratch(), events), {i: n for n, i in enumerate(IDS)}, moments[0])
    come = [e for e in events if e[0] > END]
    random.shuffle(come)
    steps = [come[n::batches] for n in range(batches)]
    for number, moment in enumerate([*moments, moments[-1]]):
        if number < len(steps):
            add(live, steps[number])
        live.advance(moment)
    for rest in steps[len(moments) + 1 :]:
        add(live, rest)
    live.advance(moments[-1])
    now, right = moments[-1], whole(events)
    counts = np.stack([c.gather(np.arange(len(ALL)), np.full(len(ALL), now)) for c in right], -1)
    expected = scaled_popularity(counts, np.array(list(SCALES.values()), np.float32))
    np.testing.assert_array_equal(live.of(live.numbers(ALL), np.full(len(ALL), now)), expected)
    found = [[ids_of(live, row) for row in live.trending(np.array([now]))[0]]]
    assert found == [[sorted_by(right[k], now, live, row) for k, row in enumerate(live.trending(np.array([now]))[0])]]


def add(live, events):
    if events:
        item, time, counted = columns(events)
        live.add(ALL[item], time, counted)


def ids_of(live, numbers):
    return live.ids(numbers[numbers >= 0]).tolist()


def sorted_by(counts, now, live, row):
    """The most popular as of the last full hour; of equal counts the lower number of the live ones comes first."""
    sums = counts.matrix(np.array([now // HOUR * HOUR]))[0]
    numbers = live.numbers(ALL)
    order = sorted((n for n in range(len(ALL)) if sums[n] > 0), key=lambda n: (-sums[n], numbers[n]))
    return ALL[order[:MOST]].tolist()


def test_moments_within_the_log_get_what_the_log_says(scratch):
    log = [(FIT_END + n * HOUR, n % 3, [True, True, True]) for n in range(30)]
    own = stored(scratch(), log)
    live = LivePopularity(own, {i: n for n, i in enumerate(IDS)}, END + 5 * DAY)
    then = FIT_END + 10 * HOUR + 7
    items, early, late = np.arange(3), np.full(3, then), np.full(3, END + 5 * DAY)
    assert live.of(items, early).tolist() == own.of(items, early).tolist() != [[0.0] * 3] * 3
    assert live.of(items, late)[:, 1:].tolist() == [[0.0] * 2] * 3, "windows have passed"
    assert (live.of(items, late)[:, 0] > 0).all()
    both = live.of(np.tile(items, 2), np.concatenate([late, early]))
    np.testing.assert_array_equal(both, np.concatenate([live.of(items, late), live.of(items, early)]))
    one_by_one = [own.of(items[n : n + 1], early[n : n + 1]) for n in items]
    np.testing.assert_array_equal(own.of(items, early), np.concatenate(one_by_one))
    mixed = own.of(items, then + np.arange(3) * HOUR)
    np.testing.assert_array_equal(mixed, [own.of(items, early + n * HOUR)[n] for n in range(3)])
    hours = then + HOUR * np.array([3, 0, 3, 1])
    for asked in (hours[:2], hours, hours[::-1]):
        np.testing.assert_array_equal(own.trending(asked), trending(whole(log), asked, MOST))
    asked = np.array([then, END + 5 * DAY])
    np.testing.assert_array_equal(live.trending(asked)[0], trending(whole(log), asked[:1], MOST)[0])


def test_events_within_the_log_are_not_counted_twice_and_ids_past_the_limit_not_at_all(scratch):
    own = stored(scratch(), [(END, 0, [True] * 3)])
    live = LivePopularity(own, {i: n for n, i in enumerate(IDS)}, END + 10, most_new=1)
    times, every = np.array([END, END + 5, END + 6]), np.ones((3, 3), bool)
    assert live.add(np.array(["a", "new", "newer"], object), times, every) == 1
    assert live.numbers(ALL).tolist() == [0, 1, 2, 3, -1]
    assert live.of(live.numbers(ALL), np.full(len(ALL), END + 10))[:, 0].tolist() == pytest.approx(
        [0.3466, 0, 0, 0.3466, 0], abs=1e-4
    )
