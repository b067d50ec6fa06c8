"""Inputs of `embed_items`: the same from fields of JSON and from a table, with one mark of what is absent."""

import numpy as np
import pandas as pd
import pytest

from tests.toys import tiny_world
from unified_ranker.core.times import NEVER, seconds
from unified_ranker.towers.served_columns import item_inputs, table_of_items

FEATURES = tiny_world.config().towers.item.features
LAST = 253_402_300_799
"""The last second of the year 9999, which is the latest that a request may name."""


def test_fields_and_rows_of_a_table_give_the_same_inputs():
    fields = {
        "a": {"title": "An amber lamp", "categories": ["x", "y"], "price": 3.5, "created_at": 1_700_000_000},
        "b": {"title": None, "price": 2, "created_at": "2024-05-01T14:00:00+02:00"},
        "c": {"categories": []},
    }
    table = pd.DataFrame(
        {
            "item_id": list(fields),
            "created_at": pd.to_datetime([1_700_000_000, 1_714_564_800, None], unit="s", utc=True),
            "title": pd.Series(["An amber lamp", None, None], dtype=object),
            "categories": [["x", "y"], None, []],
            "price": [3.5, 2.0, np.nan],
        }
    )
    from_fields, from_table = item_inputs(table_of_items(fields, FEATURES), FEATURES), item_inputs(table, FEATURES)
    assert from_fields.keys() == from_table.keys() == {"item_id", "created_at", *(f.column for f in FEATURES)}
    for name, column in from_fields.items():
        np.testing.assert_array_equal(column, from_table[name], err_msg=name)
    assert from_fields["title"].tolist() == ["An amber lamp", "", ""]


@pytest.mark.parametrize(
    ("given", "sent", "known"), [(None, 0, NEVER), (0, 0, NEVER), (1, 1, 1), (-5, -5, -5), (LAST, LAST, LAST)]
)
def test_a_creation_time_of_0_stands_for_absent(given, sent, known):
    table = table_of_items({"a": {"created_at": given}}, FEATURES)
    assert seconds(table["created_at"]).tolist() == [known]
    assert item_inputs(table, FEATURES)["created_at"].tolist() == [sent]


def test_no_items_are_no_rows():
    assert all(len(column) == 0 for column in item_inputs(table_of_items({}, FEATURES), FEATURES).values())
