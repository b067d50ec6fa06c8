"""Imputation: the rule of each task, against the same rules in Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.config import Imputation, Positive, Task
from unified_ranker.tasks.imputation import ImputableFields, Imputer
from unified_ranker.towers.tensorflow import tf

TITLES = np.array(["red lamp", "", "blue lamp"], object)
COUNTRIES = np.array(["GB", "", "US", "DE"], object)
RULES = {
    "none": Imputation(query="none", source_item="none", country="none"),
    "title": Imputation(query="source_item_title", source_item="none", country="none"),
    "last": Imputation(query="none", source_item="last_history_item", country="user"),
    "all": Imputation(query="source_item_title", source_item="last_history_item", country="user"),
}
TASKS = {name: Task(positives=(Positive(event_type="click"),), imputation=rules) for name, rules in RULES.items()}
REQUEST = st.tuples(
    st.sampled_from([*TASKS, "nonsense", ""]),
    st.sampled_from(["", "typed"]),
    st.integers(-1, 2),
    st.sampled_from(["", "FR"]),
    st.integers(-1, 2),
    st.integers(-1, 3),
)


@pytest.fixture(scope="module")
def imputer():
    return Imputer(TASKS, TITLES, COUNTRIES)


def impute(imputer, rows):
    task, query, source, country, last, user = zip(*rows, strict=True)
    fields = ImputableFields(tf.constant(task), tf.constant(query), tf.constant(source, tf.int64), tf.constant(country))
    filled = imputer(fields, tf.constant(last, tf.int64), tf.constant(user, tf.int64))
    texts = (np.char.decode(x.numpy().astype(bytes), "utf-8") for x in (filled.task, filled.query, filled.country))
    task, query, country = (x.tolist() for x in texts)
    return list(zip(task, query, filled.source_item.numpy().tolist(), country, strict=True))


def by_hand(task, query, source, country, last, user):
    rules = RULES.get(task, RULES["none"])
    if source == -1 and rules.source_item == "last_history_item":
        source = last
    if not query and source != -1 and rules.query == "source_item_title":
        query = TITLES[source]
    if not country and user != -1 and rules.country == "user":
        country = COUNTRIES[user]
    return task, query, source, country


@given(st.lists(REQUEST, min_size=1, max_size=8))
def test_each_row_by_the_rules_of_its_task(rows):
    assert impute(Imputer(TASKS, TITLES, COUNTRIES), rows) == [by_hand(*row) for row in rows]


@given(st.lists(REQUEST, min_size=1, max_size=8))
def test_a_given_field_is_never_changed(rows):
    for row, filled in zip(rows, impute(Imputer(TASKS, TITLES, COUNTRIES), rows), strict=True):
        for given_value, value, missing in zip(row[:4], filled, (None, "", -1, ""), strict=True):
            assert given_value in (missing, value)


def test_the_title_of_an_imputed_source_item_becomes_the_query(imputer):
    assert impute(imputer, [("all", "", -1, "", 2, 0)]) == [("all", "blue lamp", 2, "GB")]


def test_an_unknown_task_changes_nothing(imputer):
    assert impute(imputer, [("nonsense", "", -1, "", 2, 0)]) == [("nonsense", "", -1, "")]


def test_an_empty_catalogue_of_users():
    assert impute(Imputer(TASKS, TITLES, np.array([], object)), [("all", "", 0, "", -1, -1)]) == [
        ("all", "red lamp", 0, "")
    ]
