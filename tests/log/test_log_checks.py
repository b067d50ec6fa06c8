"""Checks of a log: each kind of bad input is one line: what, how many, three examples and what to do."""

import dataclasses
import math
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.errors import UserError
from unified_ranker.log.log_checks import Check, require, validate_tables
from unified_ranker.log.schema import normalise
from unified_ranker.reading.typed_table import read_table

NOW = datetime(2024, 6, 1, tzinfo=UTC)
SHARED = Path(os.environ.get("UNIFIED_RANKER_SHARED", Path(__file__).parents[2] / ".." / "shared"))


def tables(events=None, items=None, users=None, rows=8):
    """Return three sound tables with the given columns replaced or added."""
    base_events = {
        "user_id": [f"u{i % 3}" for i in range(rows)],
        "item_id": [f"i{i % 4}" for i in range(rows)],
        "task": ["search", "home_feed"] * (rows // 2),
        "event_type": ["click"] * rows,
        "timestamp": [NOW - timedelta(days=30, minutes=i) for i in range(rows)],
        "value": [1.0] * rows,
    }
    base_items = {
        "item_id": [f"i{i}" for i in range(4)],
        "title": list("abcd"),
        "price": [1.0, 2.0, None, 4.0],
    }
    base_users = {"user_id": ["u0", "u1", "u2"], "country": ["GB", None, "US"], "age": [1.0, None, 3.0]}
    return (
        pa.table({**base_events, **(events or {})}),
        pa.table({**base_items, **(items or {})}),
        pa.table({**base_users, **(users or {})}),
    )


def bad_checks(*given_tables, **options):
    _, checks = validate_tables(*given_tables, now=NOW, **options)
    return [check for check in checks if not check.passed]


def test_sound_tables_pass_every_check():
    log, checks = validate_tables(*tables(), now=NOW)
    assert log is not None
    assert [check.line() for check in checks if not check.line().startswith("PASS ")] == []
    assert len({check.name for check in checks}) == len(checks) > 20
    require(checks)


def test_a_log_in_canonical_form_gets_the_same_verdicts():
    given_tables = tables({"item_id": ["gone", *["i1"] * 7]})
    raw = {c.name: c for c in validate_tables(*given_tables, now=NOW)[1]}
    log = normalise(*given_tables)
    for check in validate_tables(log.events, log.items, log.users, now=NOW)[1]:
        if check.name in raw:
            assert check == raw[check.name]


TIMES = [NOW - timedelta(days=30, minutes=i) for i in range(8)]
# what is changed, the check that must fail, how many rows, what the line must say
BAD_ROWS = {
    "unknown item": (
        {"events": {"item_id": ["x1", "x2", "x3", "x4", *["i1"] * 4]}},
        "events.item_id is known",
        4,
        "item_id=x4",
    ),
    "unknown source": (
        {"events": {"source_item_id": ["x1", *[None] * 7]}},
        "events.source_item_id is known",
        1,
        "source_item_id=x1",
    ),
    "unknown query item": (
        {"events": {"query_item_id": ["x1", *["i1"] * 7]}},
        "events.query_item_id is known",
        1,
        "query_item_id=x1",
    ),
    "null item": ({"events": {"item_id": [None, *["i1"] * 7]}}, "events.item_id is present", 1, "user_id=u0"),
    "blank item": ({"events": {"item_id": ["", *["i1"] * 7]}}, "events.item_id is present", 1, "user_id=u0"),
    "null task": ({"events": {"task": [None, *["search"] * 7]}}, "events.task is present", 1, "item_id=i0"),
    "blank type": (
        {"events": {"event_type": [" ", *["click"] * 7]}},
        "events.event_type is present",
        1,
        "item_id=i0",
    ),
    "missing time": (
        {"events": {"timestamp": [None, *TIMES[1:]]}},
        "events.timestamp is present",
        1,
        "item_id=i0",
    ),
    "early time": (
        {"events": {"timestamp": [datetime(1969, 12, 31, tzinfo=UTC), *TIMES[1:]]}},
        "events.timestamp is not before 1970",
        1,
        "timestamp=1969-12-31",
    ),
    "early item": (
        {"items": {"created_at": [datetime(1900, 1, 1, tzinfo=UTC), *[None] * 3]}},
        "items.created_at is not before 1970",
        1,
        "created_at=1900",
    ),
    "duplicate item": (
        {"items": {"item_id": ["i0", "i0", "i2", "i3"]}},
        "items.item_id is unique",
        2,
        "title=b",
    ),
    "null item id": (
        {"items": {"item_id": ["i0", None, "i2", "i3"]}},
        "items.item_id is present",
        1,
        "title=b",
    ),
    "empty item id": (
        {"items": {"item_id": ["i0", "", "i2", "i3"]}},
        "items.item_id is present",
        1,
        "title=b",
    ),
    "duplicate user": (
        {"users": {"user_id": ["u0", "u0", "u2"]}},
        "users.user_id is unique",
        2,
        "user_id=u0",
    ),
    "null user": ({"users": {"user_id": ["u0", "u1", None]}}, "users.user_id is present", 1, "country=US"),
    "NaN value": (
        {"events": {"value": [math.nan, math.inf, *[1.0] * 6]}},
        "events.value is finite or null",
        2,
        "value=nan",
    ),
    "NaN price": (
        {"items": {"price": [None, math.nan, 1.0, 1.0]}},
        "items.price is finite or null",
        1,
        "item_id=i1",
    ),
    "infinite age": (
        {"users": {"age": [None, -math.inf, 1.0]}},
        "users.age is finite or null",
        1,
        "age=-inf",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_fail_one_check_with_count_and_examples(case):
    changes, name, count, said = BAD_ROWS[case]
    failed = [check for check in bad_checks(*tables(**changes)) if check.name.startswith(name)]
    assert len(failed) == 1
    check = failed[0]
    assert check.failed
    assert check.count == count
    assert len(check.examples) == min(count, 3)
    line = check.line()
    assert line.startswith(f"FAIL {name}")
    assert f": {count} of " in line
    assert " → " in line
    assert "\n" not in line
    assert said in line or count > 3
    with pytest.raises(UserError, match="FAIL " + name.split()[0]):
        require([check])


WARNINGS = {
    "future": (
        {"events": {"timestamp": [NOW + timedelta(days=2), *TIMES[1:]]}},
        "events.timestamp is not in the future",
        1,
    ),
    "country": (
        {"events": {"country": ["gb", "USA", "GB", None, *["US"] * 4]}},
        "events.country is an alpha-2 code",
        2,
    ),
    "user country": ({"users": {"country": ["Italy", "IT", None]}}, "users.country is an alpha-2 code", 1),
    "before creation": (
        {"items": {"created_at": [NOW, *[None] * 3]}},
        "events happen after their item's created_at",
        2,
    ),
    "no titles": ({"items": {"title": ["a", "", None, " "]}}, "most items have a title", 3),
    "only empty titles": ({"items": {"title": ["", "", None, " "]}}, "most items have a title", 4),
    "long item": (
        {"events": {"item_id": ["i0", "i1"] * 4}, "items": {"item_id": ["i0", "i1", "i2", "\u00fc" * 241]}},
        "items.item_id has at most 480 bytes",
        1,
    ),
    "unknown user": ({"events": {"user_id": ["new", *["u1"] * 7]}}, "events.user_id is known in users", 1),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_oddities_warn_and_do_not_stop(case):
    changes, name, count = WARNINGS[case]
    (check,) = bad_checks(*tables(**changes))
    assert (check.name, check.count, check.severity, check.failed) == (name, count, "warning", False)
    assert check.line().startswith(f"WARN {name}: {count} of ")
    require([check])


def test_tomorrow_is_not_the_far_future_and_absent_titles_are_no_fault():
    events, items, users = tables({"timestamp": [NOW + timedelta(hours=23), *TIMES[1:]]})
    assert bad_checks(events, items.drop_columns("title"), users) == []


def test_sessions_are_no_unknown_users():
    events, items, users = tables({"user_id": [None] * 8, "session_id": ["a", "b"] * 4})
    assert bad_checks(events, items, users) == []


def test_identical_events_are_counted_wherever_they_stand():
    events, items, users = tables({"query": ["x", None] * 4})
    again = pa.concat_tables([events.slice(5, 2), events, events.slice(0, 1), events.slice(5, 1)])
    (check,) = bad_checks(again, items, users)
    assert (check.name, check.count, check.total, check.severity) == ("events are distinct", 4, 12, "warning")


def test_empty_catalogue_and_empty_log():
    events, items, users = tables()
    failed = bad_checks(events.slice(0, 0), items.slice(0, 0), users.slice(0, 0))
    assert [check.line().split(" → ")[0] for check in failed] == [
        "FAIL items is not empty: 0 rows",
        "FAIL events is not empty: 0 rows",
    ]


def test_every_fault_of_form_is_a_line_and_the_other_checks_still_run():
    events, items, users = tables(items={"price": [math.nan, 1.0, 1.0, 1.0]})
    events = events.rename_columns({"timestamp": "time", "value": "position"})
    log, checks = validate_tables(events, items.append_column("created_at", pa.array(["?"] * 4)), users, now=NOW)
    assert log is None
    lines = [check.line() for check in checks if not check.passed]
    assert len(lines) == 4
    assert lines[0].startswith("FAIL `events` has the required column `timestamp`: no such column; there are:")
    assert "Did you mean `time`?" in lines[0]
    assert lines[1].startswith("FAIL `items.created_at` is a time: text that is not an ISO 8601 time, 4 rows")
    assert lines[1].count("`?`") == 3
    assert lines[2].startswith("WARN events has no column beyond the contract: `time`")
    assert lines[3].startswith("FAIL items.price is finite or null: 1 of 4 rows (25 %), e.g. item_id=i0 price=nan →")


def test_csv_tables_tell_an_empty_number_from_an_infinite_one(tmp_path):
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,task,event_type,timestamp,value\n"
        "007,i0,search,click,2024-05-01T12:00:00Z,\n"
        ",i0,search,click,2024-05-01 13:00,inf\n"
    )
    (tmp_path / "items.csv").write_text("item_id,categories\ni0,x|y\n")
    log, checks = validate_tables(read_table(tmp_path / "events.csv"), read_table(tmp_path / "items.csv"), now=NOW)
    failed = [check for check in checks if not check.passed and " several " not in check.name]
    assert [(check.name, check.count) for check in failed] == [("events.value is finite or null", 1)]
    assert log.users["user_id"].tolist() == ["007"]
    assert log.items["categories"].tolist() == [["x", "y"]]


def test_lines_are_short_and_examples_are_cut():
    check = Check("x", passed=False, count=1, examples=("long " * 100, {"a": None, "b": [1]}), what_to_do="do")
    assert len(check.line()) < 250
    assert "b=[1]" in check.line()
    assert "a=" not in check.line()
    assert dataclasses.replace(check, passed=True).line() == "PASS x"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([None, math.nan, math.inf, 0.0, 2.5]), min_size=4, max_size=4))
def test_non_finite_numbers_are_counted_exactly(prices):
    column = pa.array(prices, pa.float64(), from_pandas=False)
    checks = {check.name: check for check in validate_tables(*tables(items={"price": column}), now=NOW)[1]}
    expected = sum(price is not None and not math.isfinite(price) for price in prices)
    assert checks["items.price is finite or null"].count == expected


@pytest.mark.parametrize(("name", "events"), [("travel", 273_721), ("retail", 754_211)])
def test_real_logs_validate_in_seconds(name, events):
    folder = SHARED / "data" / name
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    start = time.process_time()
    read = [read_table(folder / f"{table}.parquet") for table in ("events", "items", "users")]
    log, checks = validate_tables(*read)
    assert time.process_time() - start < 30
    assert len(log.events) == events
    assert [check.line() for check in checks if check.failed] == []
