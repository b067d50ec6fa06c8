"""Words that mean absent: each is null wherever a table has text, and is counted."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.log.absent_words import ABSENT_WORDS, is_absent, is_word
from unified_ranker.log.log_checks import validate_tables
from unified_ranker.log.schema import normalise

WORDS = ["nan", "NaN", "None", "NULL", "null", r"\N", "undefined", "N/A", "<NA>", "-", "#N/A", " NULL ", ""]
VALUES = ["NA", "none", "nano", "none of it", "--", "0", "nil", "unknown", "NaN-7", "null_user", "N", "\\", "\u2013"]
TEXT_COLUMNS = ("user_id", "query", "source_item_id", "query_item_id", "country", "request_id", "session_id")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_means_absent(word):
    assert is_absent(pa.chunked_array([[word]])).to_pylist() == [True]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_that_only_looks_alike_stays(value):
    assert is_absent(pa.chunked_array([[value]])).to_pylist() == [False]
    log = normalise(pa.table({**one_event(), "query": [value]}), pa.table({"item_id": ["i"], "brand": [value]}))
    assert log.events["query"].tolist() == [value]
    assert log.items["brand"].tolist() == [value]


def one_event():
    time = datetime(2024, 5, 1, tzinfo=UTC)
    return {"user_id": ["u"], "item_id": ["i"], "task": ["t"], "event_type": ["click"], "timestamp": [time]}


blanks = st.sampled_from(["", " ", "\t", "\u00a0"])
spelt = st.builds(lambda word, before, after: before + word + after, st.sampled_from(ABSENT_WORDS), blanks, blanks)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXT_COLUMNS), spelt)
def test_a_log_with_a_word_is_the_log_with_null(column, word):
    items = pa.table({"item_id": ["i"]})
    written, absent = one_event() | {column: [word]}, one_event() | {column: pa.array([None], pa.string())}
    read, expected = (normalise(pa.table(columns), items) for columns in (written, absent))
    assert read.events.equals(expected.events)
    assert read.users.equals(expected.users)


@settings(max_examples=40, deadline=None)
@given(spelt)
def test_words_in_times_lists_and_features_are_absent_too(word):
    events = pa.table(one_event())
    items = {"item_id": ["i"], "created_at": [word], "title": [word], "brand": [word], "available": [word]}
    log = normalise(events, pa.table({**items, "categories": [f"shoes|{word}"]}))
    item = log.items.iloc[0]
    assert log.items[["created_at", "title", "brand"]].isna().all(axis=None)
    assert item["available"]
    assert item["categories"] == ["shoes"]


def test_a_third_of_the_events_of_nan_is_no_user_and_is_counted():
    users = ["nan", "NULL", "a", "b", "c", "d"]
    events = pa.table({name: values * 6 for name, values in one_event().items() if name != "user_id"})
    events = events.append_column("user_id", pa.array(users))
    log, checks = validate_tables(events, pa.table({"item_id": ["i"]}))
    assert log is not None
    assert log.users["user_id"].tolist() == ["a", "b", "c", "d"]
    (check,) = (c for c in checks if not c.passed and "mean absent" in c.name)
    assert check.line().startswith(
        "WARN events.user_id has no words that mean absent: 2 of 6 rows (33 %), e.g. `nan`; `NULL` →"
    )


def test_blank_text_is_absent_and_no_word():
    text = pa.chunked_array([[None, "", "  ", "nan", "x"]])
    assert is_absent(text).to_pylist() == [False, True, True, True, False]
    assert is_word(text).to_pylist() == [False, False, False, True, False]
