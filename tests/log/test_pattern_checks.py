"""What a whole log has in common: who dominates it, spellings of one name, creation times that are first events."""

from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.errors import blanks_shown
from unified_ranker.log.log_checks import validate_tables
from unified_ranker.log.pattern_checks import ENOUGH_ITEMS, created_before, dominance, several, spelling, usual_times

NAMES = [f"u{n}" for n in range(40)]


@pytest.mark.parametrize(
    ("most", "others", "dominant"),
    [
        (31, 69, True),
        (5, 95, True),
        (4, 96, False),
        (100, 0, False),
    ],
    ids=["a third", "just enough", "too few", "the only one"],
)
def test_one_user_with_a_large_part_of_the_events_is_said(most, others, dominant):
    counts = pd.Series({"bot": most * 100} | {f"u{n}": 1 for n in range(others * 100)})
    check = dominance("user_id", counts, 10_000)
    assert check.passed != dominant
    if dominant:
        assert "`bot`" not in check.name
        assert "user_id bot" in check.line()
        assert '`data.columns.events.user_id: {column: user_id, values: {"bot": "null"}}`' in check.line()


@pytest.mark.parametrize(
    ("catalogue", "items", "users", "said"),
    [
        (1, 1, 9, ["FAIL the catalogue has several items", "WARN events are of several items: all are of `id0`"]),
        (9, 1, 9, ["WARN events are of several items: all are of `id0`"]),
        (9, 9, 1, ["WARN events are of several users: all are of `id0`"]),
        (9, 9, 0, []),
        (2, 2, 2, []),
        (0, 0, 0, []),
    ],
)
def test_a_log_of_one_item_or_one_user_is_said(catalogue, items, users, said):
    counts = {"item_id": items, "user_id": users}
    checks = several(
        catalogue, {c: pd.Series({f"id{k}": 3 for k in range(n)}, dtype="int64") for c, n in counts.items()}
    )
    lines = [check.line() for check in checks if not check.passed]
    assert len(lines) == len(said)
    for line, words in zip(lines, said, strict=True):
        assert line.startswith(words)
        assert "`data.columns.events." in line


def test_active_users_of_a_small_log_do_not_dominate_it():
    assert dominance("user_id", pd.Series({"a": 50, "b": 30, "c": 20}), 100).passed
    assert dominance("item_id", pd.Series([], dtype="int64"), 0).passed
    hits = pd.Series({"first": 450, "second": 270, **{f"i{n}": 5 for n in range(100)}})
    assert dominance("item_id", hits, int(hits.sum())).passed, "what is liked most, in a small catalogue"
    assert not dominance("item_id", hits.replace(450, 900), int(hits.sum())).passed


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["click", "Click", "CLICK", " click", "click ", "view", "View", "Straße", "STRASSE"])))
def test_spelling_counts_the_events_that_would_get_another_value(values):
    groups = defaultdict(Counter)
    for value in values:
        groups[value.strip().casefold()][value] += 1
    merged = sum(sum(of.values()) - max(of.values()) for of in groups.values())
    check = spelling("event_type", pd.Series(values, dtype="str").value_counts())
    assert check.passed == (merged == 0)
    assert (check.count, check.total) == (merged, len(values))


def test_a_split_is_shown_with_its_blanks_and_the_line_that_mends_it():
    check = spelling("event_type", pd.Series({"click": 90, "Click": 8, "click ": 2}))
    line = check.line()
    assert line.startswith("WARN events.event_type has one spelling for each value: 10 of 100 rows (10 %), e.g. ")
    assert "`Click` for `click`; `click␠` for `click`" in line
    assert 'values: {"Click": "click", "click ": "click"}' in line


def test_ids_that_differ_in_case_by_chance_are_left_alone_and_blanks_are_not():
    ids = pd.Series({f"id{n}": 10 for n in range(2000)})
    assert spelling("user_id", pd.concat([ids, pd.Series({"ID7": 9})])).passed
    assert not spelling("user_id", pd.concat([ids, pd.Series({"id7 ": 9})])).passed
    assert not spelling("user_id", pd.concat([ids, pd.Series({f"ID{n}": 9 for n in range(50)})])).passed


def test_an_event_of_another_century_is_shown_beside_the_span_of_the_others():
    times = 1_700_000_000 + 3_600 * np.arange(500)
    assert usual_times(times).passed
    line = usual_times(np.append(times, 4_860_000_000)).line()
    assert line.startswith("WARN events.timestamp has no outliers: the others lie between 2023-11-14T22:13:20Z and ")
    assert "e.g. `2124-" in line
    assert "`data.latest: '" in line
    assert "data.earliest" not in line


def test_creation_times_that_are_first_events_are_said():
    first = pd.Series(pd.date_range("2024-01-01", periods=ENOUGH_ITEMS, freq="h", tz="UTC"))
    assert not created_before(first, first).passed
    assert not created_before(first.dt.floor("s"), first + pd.Timedelta(milliseconds=300)).passed
    assert created_before(first - pd.Timedelta(days=1), first).passed
    assert created_before(first.where(first.index < 10, first - pd.Timedelta(minutes=1)), first).passed
    assert created_before(first.head(10), first.head(10)).passed, "ten items are no evidence"
    assert created_before(first, pd.Series(pd.NaT, index=first.index, dtype=first.dtype)).passed


def test_an_unknown_item_that_is_only_spelt_otherwise_is_said_to_be():
    time = pd.Timestamp("2024-05-01", tz="UTC")
    columns = {"user_id": "u", "task": "t", "event_type": "e", "timestamp": time}
    events = pa.table({name: [value] * 2 for name, value in columns.items()} | {"item_id": ["i3 ", "x"]})
    _, checks = validate_tables(events, pa.table({"item_id": ["i3", "i4"]}))
    (line,) = (check.line() for check in checks if check.name == "events.item_id is known in items")
    assert "item_id=i3␠" in line
    assert "in blanks or case alone" in line
    assert "`data.columns.events.item_id: {column: item_id, spelling: trimmed}`" in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("i3 ", "i3␠"),
        ("  i3", "␠␠i3"),
        ("a b", "a b"),
        ("a  b", "a␠␠b"),
        ("a\tb", "a b"),
        ("i3\u00a0", "i3␠"),
        ("i\u200b3", "i\\u200b3"),
        (" ", "␠"),
    ],
)
def test_blanks_are_visible_where_they_matter(text, shown):
    assert blanks_shown(text) == shown
