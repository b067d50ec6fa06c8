"""Quality features against counting by hand, event by event."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_by_rows import event, log_of

from unified_ranker.core.times import DAY, NEVER
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.prepared import prepare
from unified_ranker.prepare.quality import QualityAsOf, most_popular
from unified_ranker.prepare.quality_types.freshness_feature import FreshnessFeature
from unified_ranker.prepare.quality_types.mean_value_feature import MeanValueFeature
from unified_ranker.prepare.quality_types.popularity_feature import PopularityFeature

ITEMS = 4
EVENTS = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(0, ITEMS - 1), st.floats(-100, 100, width=32)), max_size=25
).map(lambda rows: sorted(rows, key=lambda row: row[0]))
MOMENTS = st.lists(st.integers(-30, 30), min_size=1, max_size=6)
WINDOWS = st.one_of(st.none(), st.floats(0.5, 60))


def stream_of(events):
    return Stream(
        np.array([item for _, item, _ in events], np.int64),
        np.array([time for time, _, _ in events], np.int64),
        np.array([amount for _, _, amount in events], np.float32),
    )


def pairs(moments):
    """Every item at every moment."""
    return np.tile(np.arange(ITEMS), len(moments)), np.repeat(np.array(moments, np.int64), ITEMS)


# --- sums -------------------------------------------------------------------------------------------------------


@given(EVENTS, MOMENTS, WINDOWS)
def test_sums_are_of_the_events_strictly_before(events, moments, window):
    counts = CountsAsOf(stream_of(events), ITEMS, window)
    expected = [
        [
            math.fsum(
                amount
                for time, of, amount in events
                if of == item and time < moment and (window is None or time >= moment - window)
            )
            for item in range(ITEMS)
        ]
        for moment in moments
    ]
    matrix = counts.matrix(np.array(moments, np.int64))
    assert matrix.shape == (len(moments), ITEMS)
    np.testing.assert_allclose(matrix, expected, rtol=1e-6, atol=1e-4)
    # Not only close: both ways, and whatever else is asked, give the same bytes.
    assert counts.gather(*pairs(moments)).tobytes() == matrix.tobytes()
    last = counts.matrix(np.array(moments[-1:], np.int64))
    assert last.tobytes() == matrix[-1:].tobytes()


@given(EVENTS, st.lists(MOMENTS, min_size=2, max_size=5), WINDOWS)
def test_counts_do_not_depend_on_what_was_asked_before(events, calls, window):
    counts = CountsAsOf(stream_of(events), ITEMS, window)
    for moments in calls:
        alone = CountsAsOf(stream_of(events), ITEMS, window).matrix(np.array(moments, np.int64))
        assert counts.matrix(np.array(moments, np.int64)).tobytes() == alone.tobytes()


@given(EVENTS, MOMENTS, st.integers(-20, 20))
def test_sums_do_not_depend_on_later_events_not_even_in_their_rounding(events, moments, cut):
    moments = [min(moment, cut) for moment in moments]
    early = [event for event in events if event[0] < cut]
    full, short = CountsAsOf(stream_of(events), ITEMS), CountsAsOf(stream_of(early), ITEMS)
    assert full.gather(*pairs(moments)).tobytes() == short.gather(*pairs(moments)).tobytes()
    times = np.array(moments, np.int64)
    assert full.matrix(times).tobytes() == short.matrix(times).tobytes()


def test_a_large_amount_elsewhere_or_later_swallows_no_small_one():
    events = [(0, 1, 0.25), (1, 1, 0.5), (2, 0, 1e30), (3, 2, 1e30), (9, 1, 1e30)]
    counts = CountsAsOf(stream_of(events), ITEMS)
    assert counts.gather(*pairs([1, 5])).tolist() == pytest.approx([0, 0.25, 0, 0, 1e30, 0.75, 1e30, 0])
    assert counts.matrix(np.array([5]))[0].tolist() == pytest.approx([1e30, 0.75, 1e30, 0])


def test_the_order_of_the_moments_does_not_matter():
    counts = CountsAsOf(stream_of([(time, time % ITEMS, 1.0) for time in range(12)]), ITEMS, 5)
    moments = np.array([9, 0, 20, 9, 4], np.int64)
    np.testing.assert_array_equal(counts.matrix(moments), [counts.matrix(moments[[i]])[0] for i in range(5)])


def test_a_log_without_events_counts_nothing():
    counts = CountsAsOf(stream_of([]), ITEMS, 3)
    assert counts.gather(*pairs([0, 5])).tolist() == [0.0] * 8
    assert counts.matrix(np.array([0, 5])).tolist() == [[0.0] * 4] * 2


# --- features ---------------------------------------------------------------------------------------------------

FEATURES = {
    "popularity": PopularityFeature(type="popularity"),
    "trend": PopularityFeature(type="popularity", window_days=2),
    "views": PopularityFeature(type="popularity", event_types=("view", "never")),
    "rating": MeanValueFeature(type="mean_value", prior=2),
    "freshness": FreshnessFeature(type="freshness", scale_days=5),
}


def expected_features(prepared, rows, reference, item, time):
    """The features of `item` (index) at `time`, from (item, event type, time, value, positive) rows."""

    def count(of, moment, window=math.inf, event_types=None):
        return sum(
            1
            for other, kind, when, _, positive in rows
            if other == of
            and moment - window <= when < moment
            and (positive if event_types is None else kind in event_types)
        )

    def popularity(**kind):
        highest = max(count(other, reference, **kind) for other in range(len(prepared.items)))
        return math.log1p(count(item, time, **kind)) / math.log1p(max(highest, 1))

    values = [value for _, _, when, value, _ in rows if when < reference and not math.isnan(value)]
    mean = sum(values) / len(values) if values else 0.0
    own = [value for of, _, when, value, _ in rows if of == item and when < time and not math.isnan(value)]
    created = prepared.items["created_at"][item]
    age = None if pd.isna(created) else time - math.floor(created.timestamp())
    return [
        popularity(),
        popularity(window=2 * DAY),
        popularity(event_types=("view", "never")),
        (sum(own) + 2 * mean) / (len(own) + 2),
        0.0 if age is None else math.exp(-max(age, 0) / (5 * DAY)),
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_features_are_as_of_the_moment(make_log, make_config, seed):
    prepared = prepare(make_log(seed), make_config())
    events, reference = prepared.events, prepared.split.validation_end
    rows = list(
        zip(
            *(column.tolist() for column in (events.item, events.event_type, events.timestamp)),
            *(column.tolist() for column in (events.value, events.positive)),
            strict=True,
        )
    )
    quality = QualityAsOf(FEATURES, events, prepared.created_at, reference)
    some = prepared.examples.timestamp[::9]
    times = np.concatenate([some, some + 1, [reference, events.timestamp[0], events.timestamp[-1] + DAY]])
    items = np.arange(len(times)) % len(prepared.items)
    expected = [expected_features(prepared, rows, reference, *pair) for pair in zip(items, times, strict=True)]
    gathered = quality.gather(items, times)
    assert gathered.dtype == np.float32
    assert gathered.shape == (len(times), len(FEATURES))
    np.testing.assert_allclose(gathered, expected, rtol=1e-5, atol=1e-6)
    matrix = quality.matrix(times)
    assert matrix.shape == (len(times), len(prepared.items), len(FEATURES))
    assert matrix[np.arange(len(times)), items].tobytes() == gathered.tobytes()
    # One row weighs nothing, and one feature is weighted_sum by nobody.
    weights = np.random.default_rng(0).normal(size=(len(times), len(FEATURES))).astype(np.float32)
    weights[0], weights[:, 1] = 0, 0
    expected = np.einsum("bq,bnq->bn", weights, matrix)
    np.testing.assert_allclose(quality.weighted_sum(times, weights), expected, rtol=1e-4, atol=1e-5)


def quality_of_ratings(*rows, reference, features=FEATURES):
    """Ratings (item, time, value) of three undated items, all of them positives."""
    item, time, value = (np.array(column) for column in zip(*rows, strict=True))
    kinds = np.full(len(rows), "rating", object)
    events = EventColumns(item, kinds, time, value.astype(np.float32), np.ones(len(rows), bool))
    return QualityAsOf(features, events, np.full(3, NEVER), reference)


def test_scales_come_from_before_the_reference_and_stay():
    features = {name: FEATURES[name] for name in ("popularity", "rating")}
    rows = [(0, 1, 4.0), (0, 2, 2.0), (1, 3, 3.0), (2, 10, 1.0), (2, 10, 1.0), (2, 11, 1.0), (2, 12, 1.0)]
    quality = quality_of_ratings(*rows, reference=10, features=features)
    popularity, rating = quality.gather(np.array([0, 1, 2, 2]), np.array([10, 10, 10, 13])).T
    # The most popular item has 1 at the reference; one that outgrows it later has more.
    np.testing.assert_allclose(popularity, np.log1p([2, 1, 0, 4]) / np.log1p(2), rtol=1e-6)
    np.testing.assert_allclose(rating, [3.0, 3.0, 3.0, (4 * 1.0 + 2 * 3.0) / 6], rtol=1e-6)
    np.testing.assert_allclose(quality.unseen(), [0.0, 3.0])
    # Nothing before the reference: no division by zero, and a mean of nothing.
    early = quality_of_ratings(*rows, reference=1, features=features)
    np.testing.assert_allclose(early.gather(np.array([0]), np.array([2])), [[1.0, 4.0 / 3]], rtol=1e-6)
    np.testing.assert_allclose(early.unseen(), [0.0, 0.0])


def test_the_prior_pulls_a_mean_towards_that_of_all():
    rows = [(0, 1, 5.0), (1, 1, 1.0), (1, 2, 1.0), (1, 3, 1.0)]
    for prior in (0.5, 10.0):
        feature = {"rating": MeanValueFeature(type="mean_value", prior=prior)}
        quality = quality_of_ratings(*rows, reference=9, features=feature)
        means = quality.gather(np.array([0, 1, 2]), np.array([9, 9, 9]))[:, 0]
        np.testing.assert_allclose(means, [(5 + prior * 2) / (1 + prior), (3 + prior * 2) / (3 + prior), 2], rtol=1e-6)


def test_events_without_a_value_do_not_enter_the_mean(make_config):
    log = log_of([event("u", "a", 0, value=None), event("u", "a", 1, value=4.0), event("u", "b", 2, value=None)], "ab")
    prepared = prepare(log, make_config({"home_feed": {"positives": [{"event_type": "like"}]}}))
    end = int(prepared.events.timestamp[-1]) + 1
    feature = {"rating": MeanValueFeature(type="mean_value", prior=1)}
    quality = QualityAsOf(feature, prepared.events, prepared.created_at, end)
    assert quality.gather(np.array([0, 1]), np.array([end, end])).ravel().tolist() == [4.0, 4.0]
    counted = QualityAsOf({"p": FEATURES["popularity"]}, prepared.events, prepared.created_at, end)
    np.testing.assert_allclose(counted.matrix(np.array([end]))[0, :, 0], np.log1p([2, 1]) / np.log1p(2), rtol=1e-6)


def test_no_features_make_vectors_of_width_zero(toy_prepared):
    quality = QualityAsOf({}, toy_prepared.events, toy_prepared.created_at, 0)
    assert quality.gather(np.array([0, 1]), np.array([5, 5])).shape == (2, 0)
    assert quality.matrix(np.array([5, 6, 7])).shape == (3, len(toy_prepared.items), 0)
    assert quality.unseen().shape == (0,)


# --- what is popular of late ------------------------------------------------------------------------------------


HOUR = 3600
TREND = {
    "all": PopularityFeature(type="popularity"),
    "rating": MeanValueFeature(type="mean_value"),
    "late": PopularityFeature(type="popularity", window_days=0.25),
}


def trending_of(events, moments, most, features=TREND):
    """Trending items of a log of (seconds, item) positives."""
    events = sorted(events)
    count = len(events)
    columns = EventColumns(
        item=np.array([item for _, item in events], np.int64),
        event_type=np.full(count, "like", object),
        timestamp=np.array([time for time, _ in events], np.int64),
        value=np.full(count, np.nan, np.float32),
        positive=np.ones(count, bool),
    )
    quality = QualityAsOf(features, columns, np.full(ITEMS, NEVER), reference=max(moments))
    return quality.trending(np.array(moments, np.int64), most)


TIMES = st.integers(0, 20 * HOUR)


@given(
    st.lists(st.tuples(TIMES, st.integers(0, ITEMS - 1)), max_size=20),
    st.lists(TIMES, min_size=1, max_size=5),
    st.integers(1, 6),
)
def test_trending_items_have_the_highest_counts_of_the_last_full_hour(events, moments, most):
    found = trending_of(events, moments, most)
    assert found.shape == (len(moments), 2, most)
    for row, moment in enumerate(moments):
        end = moment // HOUR * HOUR
        for column, window in enumerate((10**9, 6 * HOUR)):
            counts = np.bincount([i for t, i in events if end - window <= t < end], minlength=ITEMS)
            own = found[row, column][found[row, column] >= 0]
            assert counts[own].tolist() == np.sort(counts[counts > 0])[::-1][:most].tolist()
            assert len(set(own.tolist())) == len(own)
            assert (found[row, column][len(own) :] == -1).all()


def test_no_request_sees_its_own_hour_or_what_follows():
    """Item 1 is taken by storm from 10:00 on; whoever asks at 10:59 does not see that, at 11:00 all do."""
    before = [(9 * HOUR + n, 0) for n in range(3)]
    storm = [(10 * HOUR + n, 1) for n in range(50)]
    moments = [10 * HOUR, 11 * HOUR - 1, 11 * HOUR]
    found = trending_of(before + storm, moments, 2)
    np.testing.assert_array_equal(found[:2], trending_of(before, moments, 2)[:2])
    assert found[:, 0, 0].tolist() == [0, 0, 1]


def test_a_log_without_popularity_features_has_no_trend():
    only = {"rating": TREND["rating"]}
    assert trending_of([(5, 1)], [HOUR, 2 * HOUR], 3, only).shape == (2, 0, 3)


@pytest.mark.parametrize(("items", "most"), [(50, 10), (7, 10), (0, 5)])
def test_the_most_popular_are_those_of_a_whole_sort(items, most):
    counts = np.random.default_rng(0).poisson(0.7, (3, items, 2)).astype(np.float32)
    found = most_popular(counts, most)
    assert found.shape == (3, 2, most)
    for row in range(3):
        for number in range(2):
            own = counts[row, :, number]
            best = [item for item in sorted(range(items), key=lambda item: (-own[item], item)) if own[item] > 0]
            assert [item for item in found[row, number] if item >= 0] == best[:most]
