"""Lists in text: forms that are recognised from all values, and nested categories."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.reading.list_values import ListForm, elements_of, list_form_of, to_list_values

WORD = st.text("abcdefgh ÄB&'\"", min_size=1, max_size=8).map(str.strip).filter(bool)
LISTS = st.lists(st.lists(WORD, min_size=1, max_size=4, unique=True), min_size=1, max_size=8)


@pytest.mark.parametrize("write", [lambda v: json.dumps(v, ensure_ascii=False), repr])
@settings(max_examples=20)
@given(lists=LISTS)
def test_lists_of_json_and_python_come_back(write, lists):
    texts = [write(row) for row in lists]
    form = list_form_of(texts)
    assert form.written
    assert to_list_values(pa.chunked_array([pa.array(texts)]), form).to_pylist() == lists


CASES = {
    "bars": (["a|b", "c", "b|c"], [["a", "b"], ["c"], ["b", "c"]]),
    "commas of parts that repeat": (["a, b", "b, c", "c, a", "a"], [["a", "b"], ["b", "c"], ["c", "a"], ["a"]]),
    "commas within names": (["Home, Garden & Tools", "Books", "Toys"], [["Home, Garden & Tools"], ["Books"], ["Toys"]]),
    "levels": (["Shoes > Running", "Hats"], [["Shoes", "Shoes > Running"], ["Hats"]]),
    "levels in lists": (
        ["A>B|C", "A>D", "C>E"],
        [["A", "A > B", "C"], ["A", "A > D"], ["C", "C > E"]],
    ),
    "objects": (['[{"id": 1, "name": "Drama"}]', "[{'id': 2, 'name': 'Crime'}]"], [["Drama"], ["Crime"]]),
    "nested lists": (['[["A", "B"], ["C"]]'], [["A", "B", "C"]]),
    "numbers": (["[1, 2.0]", "[3]"], [["1", "2"], ["3"]]),
    "absent": (["a|nan|", "None|b"], [["a"], ["b"]]),
}


@pytest.mark.parametrize(("texts", "expected"), CASES.values(), ids=CASES)
def test_the_form_of_lists_is_recognised(texts, expected):
    assert to_list_values(pa.chunked_array([pa.array(texts)]), list_form_of(texts)).to_pylist() == expected


@pytest.mark.parametrize(
    ("texts", "levels"),
    [
        (["phones.smart", "phones.wired", "kids.toys", "kids.shirts"], "."),
        (["Food/Bars", "Food/Cafes", "Shops/Books", "Shops/Wine"], "/"),
        (["AC/DC", "Abba", "Queen"], None),
        (["St. Louis", "No. 5", "Paris"], None),
        (["kids", "phones.smart", "phones.wired"], "."),
        (["kids", "toys", "books", "phones.smart", "phones.wired"], None),
    ],
)
def test_signs_that_stand_in_names_are_levels_where_values_begin_alike(texts, levels):
    assert list_form_of(texts, possible=True).levels == levels
    assert list_form_of(texts).levels is None


def test_declared_signs_hold():
    assert elements_of("a.b; c", list_form_of(["a.b; c"], ";", ".")) == ["a", "a . b", "c"]
    assert list_form_of(["[x] > y"], separator=",") == ListForm(separator=",", levels=">")
