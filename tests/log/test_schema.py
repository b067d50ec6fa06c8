"""The canonical form of an interaction log: what `normalise` accepts, makes of it, and refuses."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.errors import UserError
from unified_ranker.core.offers import offers_of
from unified_ranker.log.schema import LOG_COLUMNS, normalise

NOON = datetime(2020, 1, 2, 12, 0, 0, 250_000, tzinfo=UTC)


def events_table(**columns):
    base = {
        "user_id": ["u1", None, "u2"],
        "item_id": ["a", "b", "a"],
        "task": ["search"] * 3,
        "event_type": ["click"] * 3,
        "timestamp": [NOON, NOON - timedelta(days=1), NOON + timedelta(days=1)],
    }
    return pa.table({**base, **columns})


def items_table(**columns):
    return pa.table({"item_id": ["b", "a"], **columns})


def assert_same(left, right):
    for name in ("events", "items", "users"):
        pd.testing.assert_frame_equal(getattr(left, name), getattr(right, name))


def test_minimal_tables_get_every_column_of_the_contract_with_its_type():
    log = normalise(events_table(), items_table())
    assert list(log.events) == list(LOG_COLUMNS["events"])
    assert list(log.items) == ["item_id", "title", "created_at", "categories"]
    assert list(log.users) == ["user_id", "country", "created_at"]
    types = {name: str(dtype) for name, dtype in log.events.dtypes.items()}
    times_and_numbers = {"timestamp", "value", "position", "derived"}
    text = set(types) - times_and_numbers
    assert {types[name] for name in text} == {"str"}
    assert types["timestamp"] == "datetime64[us, UTC]"
    assert (types["value"], types["position"], types["derived"]) == ("float32", "Int64", "bool")
    assert log.events[["query", "source_item_id", "query_item_id", "country", "value"]].isna().all(axis=None)
    assert not log.events["derived"].any()
    assert log.items["categories"].tolist() == [[], []]
    assert str(log.items["created_at"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("available", "countries"),
    [
        ([False, None], [["DE", "FR"], None]),
        (["false", None], ["DE|FR", None]),
        (["FALSE", " "], ["DE| FR", ""]),
        ([0, None], [["DE", "FR"], []]),
        ([0.0, 1.0], [["DE", "FR"], []]),
    ],
    ids=["flags", "text", "text of a spreadsheet", "numbers", "numbers with a fraction"],
)
def test_where_an_item_may_be_shown_is_read_from_columns_of_any_form(available, countries):
    items = normalise(events_table(), items_table(available=available, countries=countries)).items
    offers = offers_of(items)
    assert items["item_id"].tolist() == ["a", "b"]
    assert offers.available.tolist() == [True, False]
    assert offers.offered("FR").tolist() == [True, True]
    assert offers.offered("US").tolist() == [True, False]


def test_nothing_is_withheld_where_the_columns_are_empty():
    items = normalise(events_table(), items_table(available=[None, None], countries=[None, None])).items
    assert offers_of(items).withheld("US") == 0


@pytest.mark.parametrize("available", [["no", "yes"], [2, 0], [0.5, 1.0]])
def test_what_is_neither_true_nor_false_is_refused(available):
    with pytest.raises(UserError, match=r"`items.available` is true or false"):
        normalise(events_table(), items_table(available=available))


def test_rows_are_ordered_and_users_come_from_the_events():
    log = normalise(events_table(), items_table())
    assert log.events["timestamp"].is_monotonic_increasing
    assert log.events["item_id"].tolist() == ["b", "a", "a"]
    assert log.items["item_id"].tolist() == ["a", "b"]
    assert log.users["user_id"].tolist() == ["u1", "u2"]
    assert log.users[["country", "created_at"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([12, 7, 7]),
        pa.array([12.0, 7.0, 7.0]),
        pa.array(["12", "7", "7"]),
        pa.array(["12", "7", "7"]).dictionary_encode(),
        pa.array([12, 7, 7]).dictionary_encode(),
    ],
)
def test_ids_become_the_same_text_however_they_are_stored(ids):
    log = normalise(events_table(item_id=ids), pa.table({"item_id": ["7", "12"]}))
    assert sorted(log.events["item_id"]) == ["12", "7", "7"]


def test_ids_that_pandas_turned_into_floats_beside_a_null():
    events = events_table().to_pandas().assign(user_id=[12, None, 2**40])
    log = normalise(events, items_table())
    assert set(log.events["user_id"].dropna()) == {"12", str(2**40)}
    assert log.events["user_id"].isna().sum() == 1


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOON] * 3, pa.timestamp("us", "UTC")),
        pa.array([NOON] * 3, pa.timestamp("ns", "UTC")),
        pa.array([NOON] * 3, pa.timestamp("ms", "Europe/Rome")),
        pa.array([NOON.replace(tzinfo=None)] * 3, pa.timestamp("us")),
        pa.array(["2020-01-02T12:00:00.25Z"] * 3),
        pa.array(["2020-01-02 12:00:00.250", "2020-01-02T14:00:00.25+02:00", "2020-01-02T12:00:00.250000"]),
    ],
)
def test_times_in_any_form_are_the_same_instant_in_utc(times):
    log = normalise(events_table(timestamp=times), items_table())
    assert log.events["timestamp"].tolist() == [pd.Timestamp(NOON)] * 3
    assert str(log.events["timestamp"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize("times", [[881250949] * 3, [881250949.0] * 3, ["881250949", " 881250949", "881250949"]])
def test_whole_numbers_are_epoch_seconds(times):
    log = normalise(events_table(timestamp=times), items_table())
    assert log.events["timestamp"].tolist() == [pd.Timestamp("1997-12-04T15:55:49Z")] * 3


def test_dates_are_midnight_and_eight_digits_are_a_date():
    log = normalise(events_table(timestamp=pa.array([date(2020, 1, 2)] * 3)), items_table())
    assert log.events["timestamp"].tolist() == [pd.Timestamp("2020-01-02T00:00:00Z")] * 3
    log = normalise(events_table(timestamp=["20200102"] * 3), items_table())
    assert log.events["timestamp"].tolist() == [pd.Timestamp("2020-01-02T00:00:00Z")] * 3


def test_missing_times_stay_missing():
    log = normalise(events_table(timestamp=["2020-01-02", None, ""]), items_table())
    assert log.events["timestamp"].isna().sum() == 2


@pytest.mark.parametrize(
    ("times", "received"),
    [
        (["2020-01-02", "yesterday", "soon"], "2 rows, e.g. `yesterday`, `soon`"),
        ([1577966400000] * 3, "milliseconds"),
        ([1.5, 2.0, 3.0], "e.g. `1.5`"),
        ([True, False, True], "type bool"),
        (pa.array([10**17] * 3, pa.timestamp("s")), "years 1 to 9999"),
    ],
)
def test_what_is_not_a_time_is_refused_with_examples(times, received):
    with pytest.raises(UserError, match=r"`events.timestamp` is a time") as error:
        normalise(events_table(timestamp=times), items_table())
    assert received in str(error.value)
    assert "ISO 8601" in str(error.value)


def test_missing_columns_are_all_named_with_the_nearest_there_is():
    events = events_table().rename_columns(["user", "item_id", "task", "event_type", "time_stamp"])
    with pytest.raises(UserError) as error:
        normalise(events, pa.table({"id": ["a"]}), pa.table({"country": ["GB"]}))
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "`events` has the required column `user_id`" in lines[0]
    assert "Did you mean `user`?" in lines[0]
    assert "`timestamp`" in lines[1]
    assert "Did you mean `time_stamp`?" in lines[1]
    assert "`items` has the required column `item_id`" in lines[2]
    assert "`users` has the required column `user_id`" in lines[3]


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        ("item_id", [1.5, 2.0, 3.0], "is text"),
        ("item_id", [True, True, False], "is text"),
        ("item_id", [NOON] * 3, "is text"),
        ("value", ["good", "5", "bad"], "is a number"),
        ("value", [True, False, True], "is a number"),
        ("value", [1e300, 1.0, 2.0], "fits in float32"),
        ("position", [1.5, 2.0, 3.0], "is a whole number"),
        ("derived", ["yes", "no", "true"], "is true or false"),
        ("derived", [1, 0, 1], "is true or false"),
    ],
)
def test_wrong_types_are_refused(column, values, rule):
    with pytest.raises(UserError, match=f"`events.{column}` {rule}"):
        normalise(events_table(**{column: values}), items_table())


def test_mixed_types_in_a_data_frame_are_refused():
    events = events_table().to_pandas()
    events["query"] = pd.Series([1, "x", [2]], dtype=object)
    with pytest.raises(UserError, match=r"`events.query` has one type.*mixed types"):
        normalise(events, items_table())


def test_a_column_name_that_occurs_twice_is_refused():
    items = pa.table([pa.array(["a"]), pa.array(["b"])], names=["item_id", "item_id"])
    with pytest.raises(UserError, match=r"`items.item_id` occurs once"):
        normalise(events_table(), items)


def test_blank_text_is_absent_and_a_blank_user_is_anonymous():
    log = normalise(
        events_table(query=["", "  ", "red hat"], country=["", "GB", None], user_id=["", "u", "v"]),
        items_table(),
    )
    assert log.events["query"].dropna().tolist() == ["red hat"]
    assert log.events["country"].dropna().tolist() == ["GB"]
    assert log.events["user_id"].dropna().tolist() == ["u", "v"]


def test_optional_columns_keep_their_values():
    log = normalise(
        events_table(value=[1, 2, None], position=[3.0, None, 1.0], derived=["True", None, "false"]),
        items_table(),
    )
    events = log.events.set_index("timestamp").sort_index()
    np.testing.assert_array_equal(events["value"].to_numpy(), np.float32([2, 1, np.nan]))
    assert events["position"].isna().tolist() == [True, False, False]
    assert events["position"].dropna().tolist() == [3, 1]
    assert events["derived"].tolist() == [False, True, False]


def test_a_session_without_a_user_is_a_user_of_its_own(caplog):
    """A session of the same id as a user is not this user's, and one of a known user changes nothing."""
    users = {"user_id": ["7", None, None], "session_id": pa.array([7, 7, None], pa.int64())}
    log = normalise(events_table(**users), items_table())
    assert set(log.events["user_id"].dropna()) == {"7", "session:7"}
    assert log.events["user_id"].isna().sum() == 1
    assert log.users["user_id"].tolist() == ["7", "session:7"]
    assert list(log.events) == list(LOG_COLUMNS["events"])
    assert "session_id" not in caplog.text


def test_unknown_event_columns_are_left_out_with_a_message(caplog):
    log = normalise(events_table(querry=["x"] * 3), items_table())
    assert "querry" not in log.events
    assert "Did you mean `query`?" in caplog.text


@pytest.mark.parametrize(
    ("column", "kept", "dtype"),
    [
        (pa.array([1, None]), [1], "Int64"),
        (pa.array([1, 2], pa.int8()), [1, 2], "Int64"),
        (pa.array([1.5, None], pa.float32()), [1.5], "float64"),
        (pa.array(["x", None]), ["x"], "str"),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"], "str"),
        (pa.array([True, None]), [True], "boolean"),
        (pa.array([NOON, None]), [pd.Timestamp(NOON)], "datetime64[us, UTC]"),
        (pa.array([["x", "y"], ["z"]]), [["x", "y"], ["z"]], "object"),
        (pa.array([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0]], "object"),
    ],
)
def test_further_item_columns_are_kept_with_their_kind(column, kept, dtype):
    log = normalise(events_table(), pa.table({"item_id": ["a", "b"], "feature": column}))
    assert log.items["feature"].dropna().tolist() == kept
    assert str(log.items["feature"].dtype) == dtype


def test_categories_from_lists_text_and_numbers():
    for categories in ([["x", "y "], None], ["x|y", None], [["x", "", "y"], []]):
        log = normalise(events_table(), pa.table({"item_id": ["a", "b"], "categories": categories}))
        assert log.items["categories"].tolist() == [["x", "y"], []]
    log = normalise(events_table(), items_table(categories=[[1], [2, 3]]))
    assert log.items["categories"].tolist() == [["2", "3"], ["1"]]
    with pytest.raises(UserError, match=r"`items.categories` is a list of text"):
        normalise(events_table(), items_table(categories=[1.5, 2.5]))


def test_a_users_table_is_kept_as_it_is():
    users = pa.table({"user_id": ["u9", "u1"], "country": ["GB", ""], "age": [30.0, None]})
    log = normalise(events_table(), items_table(), users)
    assert log.users["user_id"].tolist() == ["u1", "u9"]
    assert log.users["country"].isna().tolist() == [True, False]
    assert log.users["age"].dropna().tolist() == [30.0]


def test_empty_tables_have_the_form():
    log = normalise(events_table().slice(0, 0), items_table().slice(0, 0))
    assert (len(log.events), len(log.items), len(log.users)) == (0, 0, 0)
    assert str(log.events["timestamp"].dtype) == "datetime64[us, UTC]"
    assert str(log.users["user_id"].dtype) == "str"


EVENT = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u1", "u2", None]),
        "item_id": st.sampled_from(["a", "b", "10", "9"]),
        "task": st.sampled_from(["search", "home_feed"]),
        "event_type": st.sampled_from(["click", "buy"]),
        # Few instants, so that most rows tie in time.
        "timestamp": st.integers(0, 3).map(lambda day: NOON + timedelta(days=day)),
        "query": st.sampled_from(["red hat", "blue", "", None]),
        "value": st.sampled_from([1.0, -1.0, 2.5, None]),
        "position": st.sampled_from([1, 2, None]),
        "derived": st.booleans(),
    }
)
SCHEMA = pa.schema(
    [(c, pa.string()) for c in ("user_id", "item_id", "task", "event_type")]
    + [
        ("timestamp", pa.timestamp("us", "UTC")),
        ("query", pa.string()),
        ("value", pa.float64()),
        ("position", pa.int64()),
        ("derived", pa.bool_()),
    ]
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(EVENT, max_size=12), data=st.data())
def test_the_same_rows_in_any_order_give_the_same_log(rows, data):
    items = pa.table({"item_id": ["a", "b", "10", "9"], "size": [1, 2, 3, 4]})
    shuffled = data.draw(st.permutations(rows))
    item_order = data.draw(st.permutations(range(4)))
    log = normalise(pa.Table.from_pylist(rows, SCHEMA), items)
    assert_same(log, normalise(pa.Table.from_pylist(shuffled, SCHEMA), items.take(item_order)))
    assert len(log.events) == len(rows)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(EVENT, max_size=8))
def test_normalising_a_log_again_changes_nothing(rows):
    log = normalise(pa.Table.from_pylist(rows, SCHEMA), items_table(categories=[["x"], []], price=[1.5, None]))
    assert_same(log, normalise(log.events, log.items, log.users))


@settings(max_examples=50, deadline=None)
@given(
    instant=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    offset=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_iso_text_of_any_offset_is_the_instant_it_names(instant, offset):
    local = instant.replace(tzinfo=offset)
    log = normalise(events_table(timestamp=[local.isoformat()] * 3), items_table())
    assert log.events["timestamp"].tolist() == [pd.Timestamp(local.astimezone(UTC))] * 3
