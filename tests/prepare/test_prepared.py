"""What `prepare` leaves: the split, users and items, and the same again from disk."""

import dataclasses
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_by_rows import at, event, log_of

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.errors import UserError
from unified_ranker.prepare.prepared import Prepared, prepare
from unified_ranker.prepare.split_times import split_times

TASKS = {"home_feed": {"positives": [{"event_type": "like"}]}}


def likes(users, items="abc", values=(None, None, None)):
    """Three likes, a day apart."""
    rows = zip(users, items, values, strict=True)
    return [event(user, item, 24 * day, value=value) for day, (user, item, value) in enumerate(rows)]


# --- the split --------------------------------------------------------------------------------------------------


def quantile(times, share):
    """The quantile by linear interpolation, exactly."""
    place = Fraction(share) * (len(times) - 1)
    low = int(place)
    high = min(low + 1, len(times) - 1)
    return times[low] + (place - low) * (times[high] - times[low])


SHARES = st.sampled_from([(0.5, 0.25), (0.75, 0.125), (0.25, 0.0)])
CUTS = st.lists(st.integers(0, 30), max_size=2)


def cut(times, cuts):
    """Times in parts, as several shards have them."""
    return np.split(np.array(times, np.int64), sorted(min(c, len(times)) for c in cuts))


@given(
    st.sets(st.integers(0, 60), min_size=1, max_size=30).map(sorted), SHARES, st.lists(st.integers(0, 30), max_size=2)
)
def test_the_split_is_at_the_quantiles_of_labelled_times(make_config, times, shares, cuts):
    train, validation = shares
    config = make_config(split={"train": train, "validation": validation})
    split = split_times(cut(times, cuts), config)
    low, high = quantile(times, train), quantile(times, train + validation)
    for time in times:
        assert (time < split.train_end) == (time < low)
        assert (time < split.validation_end) == (time < high)
    assert split.train_end <= split.validation_end <= times[-1], "a test slice is always left"


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30).map(sorted), SHARES, st.lists(st.integers(0, 30), max_size=2)
)
def test_a_second_that_the_split_cannot_divide_is_on_the_nearer_side(make_config, times, shares, cuts):
    train, validation = shares
    split = split_times(cut(times, cuts), make_config(split={"train": train, "validation": validation}))
    # No bound between two moments comes nearer to the share, by a whole event or more; the last one is never taken.
    ends = {sum(time < moment for time in times) for moment in times}
    for end, share in ((split.train_end, train), (split.validation_end, train + validation)):
        came, wanted = sum(time < end for time in times), share * len(times)
        assert abs(came - wanted) < min(abs(other - wanted) for other in ends) + 1
    assert split.train_end <= split.validation_end <= times[-1], "a test slice is always left"


def test_between_takes_each_example_into_one_slice(toy_prepared):
    split, examples = toy_prepared.split, toy_prepared.examples
    bounds = [(None, split.train_end), (split.train_end, split.validation_end), (split.validation_end, None)]
    slices = [toy_prepared.between(*pair) for pair in bounds]
    assert [len(part) for part in slices] == pytest.approx(np.array([0.8, 0.1, 0.1]) * len(examples), abs=4)
    for field in dataclasses.fields(examples):
        parts = [getattr(part, field.name) for part in slices]
        np.testing.assert_array_equal(np.concatenate(parts), getattr(examples, field.name))
    assert slices[0].timestamp.max() < split.train_end <= slices[1].timestamp.min()
    assert slices[1].timestamp.max() < split.validation_end <= slices[2].timestamp.min()
    assert len(toy_prepared.between(None, None)) == len(examples)


# --- items and users --------------------------------------------------------------------------------------------


def test_a_user_that_only_events_name_has_a_history_and_no_profile(make_config):
    users = pd.DataFrame({"user_id": ["c", "a"], "age": [3, 1], "country": ["GB", None]})
    log = log_of(likes(["b", "b", "c"]), "abc", users)
    prepared = prepare(log, make_config(TASKS, {}))
    assert prepared.user_ids.tolist() == ["a", "b", "c"]
    assert prepared.examples.user.tolist() == [1, 1, 2]
    assert prepared.examples.history_length.tolist() == [0, 1, 0]
    assert prepared.users["age"].tolist() == [1, pd.NA, 3]
    assert prepared.users.dtypes.equals(log.users.dtypes)
    assert prepared.users["country"].fillna("none").tolist() == ["none", "none", "GB"]


def test_a_log_may_lack_users_dates_and_titles(make_config):
    log = log_of(likes([None, None, None]), "cab")
    prepared = prepare(log, make_config(TASKS))
    assert len(prepared.users) == 0
    assert prepared.item_ids.tolist() == ["a", "b", "c"]
    assert (prepared.created_at == np.iinfo(np.int64).min).all()
    assert prepared.examples.user.tolist() == [MISSING] * 3
    assert prepared.examples.history_length.tolist() == [0] * 3
    assert prepared.histories.offsets.tolist() == [0]


def test_items_keep_their_columns_in_catalogue_order(toy_log, toy_prepared):
    items = toy_prepared.items
    assert (np.diff(toy_prepared.created_at.astype(float)) >= 0).all()
    assert toy_prepared.item_ids.tolist() == items["item_id"].tolist()
    pd.testing.assert_frame_equal(items.sort_values("item_id", ignore_index=True), toy_log.items)


def test_a_task_without_positives_says_what_the_log_holds(toy_log, make_config):
    tasks = {"search": {"positives": [{"event_type": "clik"}]}, **TASKS}
    with pytest.raises(
        UserError, match=r"`tasks/search.yaml`, `positives`.*`clik` matches none of.*`click` \(\d+\).*correct"
    ):
        prepare(toy_log, make_config(tasks))
    with pytest.raises(UserError, match=r"`tasks/pre_query.yaml`.*no event .*`search` \(\d+\)"):
        prepare(toy_log, make_config({"pre_query": {"positives": [{"event_type": "click"}]}}))


# --- to disk and back -------------------------------------------------------------------------------------------


def assert_same(one, other):
    assert type(one) is type(other)
    for field in dataclasses.fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, pd.DataFrame):
            pd.testing.assert_frame_equal(left, right)
            for name in left.columns[[pd.api.types.is_object_dtype(t) for t in left.dtypes]]:
                assert [type(v) for v in left[name]] == [type(v) for v in right[name]], name
        elif isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field.name
            np.testing.assert_array_equal(left, right)
        elif dataclasses.is_dataclass(left):
            assert_same(left, right)
        else:
            assert left == right
            assert type(left) is type(right)


def test_what_is_saved_is_what_is_loaded(toy_prepared, tmp_path):
    toy_prepared.histories.common(toy_prepared.histories.item)  # what is computed once of histories is no column
    toy_prepared.save(tmp_path)
    assert_same(toy_prepared, Prepared.load(tmp_path))


def test_every_kind_of_column_survives_the_disk(make_config, tmp_path):
    items = pd.DataFrame(
        {
            "item_id": list("abc"),
            "categories": [["x", "y"], None, []],
            "created_at": ["2024-01-01T00:00:00.25Z", None, "2020-02-02"],
            "pages": [1, None, 3],
            "price": [1.5, None, 2.0],
            "in_stock": [True, None, False],
            "colours": [["red"], ["blue", "green"], None],
            "sold_until": pd.to_datetime(["2025-01-01", None, "2026-01-01"]),
            "maker": ["m", None, "ü"],
            "size": [{"w": 1, "h": None}, None, {"w": 2, "h": 3}],
        }
    )
    log = log_of(likes(["u", None, "u"], values=[None, 1.5, 2.0]), items.astype({"pages": "Int64"}))
    prepared = prepare(log, make_config(TASKS))
    prepared.save(tmp_path)
    loaded = Prepared.load(tmp_path)
    assert_same(prepared, loaded)
    assert loaded.items.set_index("item_id").loc["b", "categories"] == []


def test_empty_tables_survive_the_disk(make_config, tmp_path):
    log = log_of(likes([None, None, None]))
    prepared = prepare(log, make_config(TASKS))
    prepared.save(tmp_path)
    assert_same(prepared, Prepared.load(tmp_path))


# --- items that are learnt from -----------------------------------------------------------------------------------


def test_a_model_learns_from_positives_sources_and_histories_before_the_end_and_from_nothing_else(make_config):
    rows = [
        event("u", "a", 1),
        event("u", "b", 2, event_type="view"),
        event("u", "c", 3, source_item_id="d"),
        event("u", "e", 4, event_type="impression"),
        # Nobody's history has an event without a user.
        event(None, "f", 5, event_type="view"),
        event("u", "g", 30),
    ]
    config = make_config(TASKS, {"user": {"history_events": ["like", "view"]}})
    prepared = prepare(log_of(rows, "abcdefgh"), config)
    learnt = prepared.items_learnt(at(10))
    assert prepared.item_ids[learnt].tolist() == ["a", "b", "c", "d"]
