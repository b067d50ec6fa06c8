"""Declarations of tables: short and long forms are one, and what cannot be meant is refused."""

import pytest
from toy_project import changed, line_of

from unified_ranker.config import ColumnSource, TableSource, TablesSource


def test_short_forms_are_the_long_ones_and_come_back_short():
    tree = {"type": "tables", "events": "e.csv", "columns": {"events": {"user_id": "visitorid"}}}
    data = TablesSource.model_validate(tree)
    assert data.events == TableSource.model_validate({"files": "e.csv"})
    assert data.columns.events["user_id"] == ColumnSource(column="visitorid")
    dumped = data.model_dump(mode="json")
    assert dumped["events"] == "e.csv"
    assert dumped["columns"]["events"] == {"user_id": "visitorid"}
    assert TablesSource.model_validate(dumped) == data


def test_a_long_form_keeps_what_is_given():
    source = TableSource(files="e.csv", delimiter="::", header=("a", "b"), quote="")
    assert source.model_dump(mode="json") == {"files": "e.csv", "delimiter": "::", "header": ["a", "b"], "quote": ""}
    assert TableSource.model_validate(source.model_dump(mode="json")) == source


def test_numbers_and_switches_of_yaml_are_the_text_of_a_table():
    assert ColumnSource.model_validate({"column": "e", "values": {3: "buy", False: 0}}).values == {
        "3": "buy",
        "false": "0",
    }


MISTAKES = {
    "no path": ("events: 5", ["`data.events`", "must be a path, or hold `files` or `sql`"]),
    "nothing": ("events: {}", ["`data.events`", "either `files` or `sql`", "neither"]),
    "both": ("events: {files: a, sql: b}", ["`data.events`", "both"]),
    "an option of files": ("events: {sql: a, delimiter: ';'}", ["`delimiter` is for `files`"]),
    "a database without a query": ("events: {files: a, database: 'postgresql://h/d'}", ["no `sql`"]),
    "no column": (
        "events: e\n  columns: {events: {user_id: {unit: ms}}}",
        ["`data.columns.events.user_id`", "`value`"],
    ),
    "two rules of time": (
        "events: e\n  columns: {events: {timestamp: {column: t, unit: s, format: '%d'}}}",
        ["`data.columns.events.timestamp`", "both"],
    ),
    "row order with times": ("events: e\n  order: row\n  columns: {events: {timestamp: t}}", ["`order: row`"]),
}


@pytest.mark.parametrize(("data", "said"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_meant_is_refused(tmp_path, data, said):
    line = line_of(changed(tmp_path, "project.yaml", f"name: toy\ndata:\n  type: tables\n  {data}\n"))
    for part in said:
        assert part in line


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("postgresql://reader:${PASSWORD}@host/shop", True),
        ("postgresql://reader@host/shop", True),
        ("postgresql:///shop?host=/tmp&user=a", True),
        ("host=h password=${PW}", True),
        ("postgresql://reader:hidden@host/shop", False),
        ("postgresql://reader:${A}hidden@host/shop", False),
        ("postgresql:///shop?password=hidden", False),
        ("password=hidden host=h", False),
    ],
)
def test_a_password_comes_from_the_environment(tmp_path, address, allowed):
    tree = {"sql": "SELECT 1", "database": address}
    if allowed:
        assert TableSource.model_validate(tree).database == address
        return
    line = line_of(
        changed(
            tmp_path, "project.yaml", f"name: toy\ndata:\n  type: tables\n  events: {{sql: a, database: '{address}'}}\n"
        )
    )
    assert "environment variable" in line
    assert "hidden" not in line


def test_a_report_on_a_log_without_times_says_that_its_split_is_by_position():
    data = TablesSource.model_validate({"type": "tables", "events": "e.csv", "order": "row"})
    assert "The split is by position" in " ".join(data.notes)
    assert not TablesSource.model_validate({"type": "tables", "events": "e.csv"}).notes
