"""Every fault of issue 2's "Bad input": one clear line, a non-zero exit, and nothing half-written."""

import json
import math
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import EVENTS, cli, declarations, events_table, items_table, tables, write_project

from unified_ranker.project.workspace import READING


def write_events(directory, **columns):
    """Write the events with some columns as Arrow arrays, because pandas turns NaN into null."""
    table = pa.Table.from_pandas(events_table(), preserve_index=False)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values, from_pandas=False))
    pq.write_table(table, directory / "data" / "events.parquet")


def set_column(name, rows, value):
    """Return the events with `value` in a column's `rows`."""
    events = events_table()
    events.loc[rows, name] = value
    return {"events": events}


def change(directory, frames=None, **files):
    """Write the project with some of its tables and declarations replaced."""
    write_project(directory, {**tables(), **(frames or {})}, {**declarations(), **files})


def missing_file(directory):
    change(directory)
    (directory / "data" / "events.parquet").rename(directory / "data" / "event.parquet")


def missing_column(directory):
    change(directory, {"events": events_table().rename(columns={"timestamp": "timestmap"})})


def missing_table(directory):
    files = declarations()
    del files["project.yaml"]["data"]["events"]
    write_project(directory, files=files)


def missing_time(directory):
    change(directory, set_column("timestamp", [3, 5, 8, 13], pd.NaT))


def text_for_time(directory):
    events = events_table().astype({"timestamp": str})
    events.loc[[2, 4], "timestamp"] = ["soon", "later"]
    change(directory, {"events": events})


def duplicate_items(directory):
    change(directory, {"items": pd.concat([items_table(), items_table().head(4)])})


def nan_number(directory):
    change(directory)
    write_events(directory, value=[math.nan if row % 300 == 0 else 5.0 for row in range(EVENTS)])


def infinite_number(directory):
    items = items_table().astype({"minutes": object})
    items.loc[[0, 1, 2, 3], "minutes"] = ["inf", "-inf", "inf", "nan"]
    change(directory, {"items": items})


def unknown_item(directory):
    change(directory, set_column("item_id", [1, 2, 3, 4], ["x1", "x2", "x3", "x4"]))


def unknown_source(directory):
    events = events_table()
    row = events.index[events["task"] == "more_like_this"][0]
    change(directory, set_column("source_item_id", [row], "i400"))


def task_without_events(directory):
    change(directory, **{"tasks/serch.yaml": declarations()["tasks/search.yaml"]})


def task_without_positives(directory):
    change(directory, **{"tasks/search.yaml": {"positives": [{"event_type": "clik"}]}})


def empty_catalogue(directory):
    change(directory, {"items": items_table().head(0)})


def empty_log(directory):
    change(directory, {"events": events_table().head(0)})


def column_of_a_feature(directory):
    tower = declarations()["towers/item.yaml"]
    tower["features"][2]["column"] = "minute"
    change(directory, **{"towers/item.yaml": tower})


def unknown_key(directory):
    change(directory, **{"towers/ranker.yaml": {"hiden": 8}})


def wrong_type(directory):
    change(directory, **{"tasks/home_feed.yaml": {**declarations()["tasks/home_feed.yaml"], "weight": "heavy"}})


def not_a_table(directory):
    change(directory)
    (directory / "data" / "events.parquet").write_text("no table")


def broken_yaml(directory):
    change(directory)
    (directory / "project.yaml").write_text("name: [small")


def no_project(directory):
    directory.mkdir()


# Each fault, and what its line must hold: the rule and the place, what is there, how many, examples, what to do.
FAULTS = [
    (missing_file, ["events.parquet` does not exist", "`event.parquet`"]),
    (missing_column, ["`events` has the required column `timestamp`", "`timestmap`", "rename or add", "Did you mean"]),
    (missing_table, ["`project.yaml`, `data.events`", "required and absent", "Add it"]),
    (missing_time, ["events.timestamp is present", "4 of 1,500 rows", "item_id=", "; ", "fill in the time"]),
    (
        text_for_time,
        ["events.timestamp is a time", "2 of 1,500 rows", "`soon (row 2 of ", "`later (row 4 of ", "`format`"],
    ),
    (duplicate_items, ["items.item_id is unique", "8 of 44 rows", "item_id=i0", "keep one row"]),
    (nan_number, ["events.value is finite or null", "5 of 1,500 rows", "value=nan", "write null"]),
    (infinite_number, ["items.minutes is finite or null", "3 of 40 rows", "item_id=i0", "minutes=-inf", "write null"]),
    (
        unknown_item,
        ["events.item_id is known in items", "4 of 1,500 rows", "item_id=x1", "item_id=x3", "add the"],
    ),
    (unknown_source, ["events.source_item_id is known in items", "1 of 1,500 rows", "i400", "add the items"]),
    (task_without_events, ["`tasks/serch.yaml`", "no event", "remove the file", "Did you mean `search`"]),
    (task_without_positives, ["`tasks/search.yaml`, `positives`", "`clik` matches none", "Did you mean `click`"]),
    (empty_catalogue, ["items is not empty", "0 rows", "at least one of the items"]),
    (empty_log, ["events is not empty", "0 rows", "at least one of the events"]),
    (column_of_a_feature, ["`towers/item.yaml`, `features[2].column`", "`minute`", "Did you mean `minutes`"]),
    (unknown_key, ["`towers/ranker.yaml`, `hiden`", "not known", "Allowed: `type`, `hidden`", "Did you mean `hidden`"]),
    (wrong_type, ["`tasks/home_feed.yaml`, `weight`", "must be a valid number", "Received: 'heavy'"]),
    (not_a_table, ["events.parquet` is not a Parquet file", "Write it again"]),
    (broken_yaml, ["`project.yaml` is not valid YAML", "line 1"]),
    (no_project, ["project.yaml` does not exist", "--project", "unified-ranker init"]),
]
# Faults from which others follow, each with its own line.
WITH_CONSEQUENCES = {"empty_catalogue", "empty_log"}


def files_below(directory):
    """The files and their times, but for the tables that were read: these are whole, and serve the next run."""
    found = {p.relative_to(directory): p.stat().st_mtime_ns for p in directory.rglob("*") if p.is_file()}
    return {path: time for path, time in found.items() if READING not in path.parts}


def lines_of(error):
    """The lines of an error, without the one that says where to read more."""
    lines = error.strip().removeprefix("error: ").split("\n")
    return [line for line in lines if not line.startswith("Nothing was written")]


@pytest.mark.parametrize(("fault", "wanted"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
@pytest.mark.parametrize("command", ["build", "prepare"])
def test_a_fault_is_one_clear_line_and_leaves_nothing_behind(tmp_path, fault, wanted, command):
    project = tmp_path / "project"
    fault(project)
    kept = project / "releases" / "1"
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text("{}")
    before = files_below(project)
    result = cli(command, "--project", project)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    lines = lines_of(result.stderr)
    assert [line for line in lines if all(part in line for part in wanted)], result.stderr
    if fault.__name__ not in WITH_CONSEQUENCES:
        assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    assert files_below(project) == before
    assert sorted(p.name for p in (project / "releases").iterdir()) == ["1"]
    assert {path.name for path in project.glob(".unified_ranker/*")} <= {READING}


@pytest.mark.parametrize(
    ("fault", "wanted"), [f for f in FAULTS if f[0].__name__ in ("missing_time", "unknown_item", "missing_column")]
)
def test_validate_shows_the_same_line_among_the_others(tmp_path, fault, wanted):
    fault(tmp_path)
    result = cli("validate", "--project", tmp_path)
    assert result.exit_code == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1
    assert all(part in failed[0] for part in wanted)
    *lines, summary = result.stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"PASS", "FAIL", "WARN"}
    assert summary.startswith(f"{len(lines)} checks, 1 failed, ")
    shown = cli("validate", "--project", tmp_path, "--json")
    assert shown.exit_code == 1
    assert [check["line"] for check in json.loads(shown.stdout) if check["failed"]] == failed


def test_three_examples_are_shown_however_many_rows_are_wrong(tmp_path):
    change(tmp_path, set_column("item_id", range(100), "x"))
    error = cli("build", "--project", tmp_path).stderr
    assert "100 of 1,500 rows (6.7 %)" in error
    assert error.count("item_id=x ") == 3


def test_faults_are_reported_together(tmp_path):
    events = set_column("item_id", [1], "nowhere")["events"]
    events.loc[7, "timestamp"] = pd.NaT
    items = pd.concat([items_table(), items_table().head(1)])
    change(tmp_path, {"events": events, "items": items})
    lines = lines_of(cli("build", "--project", tmp_path).stderr)
    assert [line.split(":")[0] for line in lines] == [
        "FAIL events.timestamp is present",
        "FAIL items.item_id is unique",
        "FAIL events.item_id is known in items",
    ]


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    change(tmp_path)
    file = tmp_path / "data" / "items.csv"
    file.chmod(0)
    if os.access(file, os.R_OK):
        # Root reads everything; a directory in the file's place fails as well.
        file.unlink()
        file.mkdir()
    result = cli("build", "--project", tmp_path)
    assert result.exit_code == 2
    assert f"`{file}`" in result.stderr


def test_a_fault_in_new_data_leaves_what_was_prepared(tmp_path):
    change(tmp_path)
    assert cli("prepare", "--project", tmp_path).exit_code == 0
    before = files_below(tmp_path / ".unified_ranker")
    set_column("item_id", [1], "x")["events"].to_parquet(tmp_path / "data" / "events.parquet", index=False)
    assert cli("prepare", "--project", tmp_path).exit_code == 2
    assert files_below(tmp_path / ".unified_ranker") == before


@pytest.mark.parametrize(
    ("overrides", "wanted"),
    [
        (["project.training.epoch=3"], ["`--set project.training.epoch`", "Did you mean `epochs`"]),
        (["project.training.epochs"], ["`--set` takes path.in.config=value", "project.training.epochs"]),
        (["project.training.epochs=many"], ["`--set project.training.epochs`", "'many'"]),
        (["towers.itm.dim=8"], ["`towers.itm` is not known", "Did you mean"]),
        (["tasks.serch.weight=1"], ["`tasks.serch` is not known", "`tasks.search`"]),
    ],
)
def test_a_wrong_override_is_one_line(tmp_path, overrides, wanted):
    change(tmp_path)
    arguments = [part for override in overrides for part in ("--set", override)]
    result = cli("validate", "--project", tmp_path, *arguments)
    assert result.exit_code == 2
    assert len(lines_of(result.stderr)) == 1
    assert all(part in result.stderr for part in wanted)


@pytest.mark.parametrize("tasks", [["serch"], ["search,serch"], ["search", "serch"]])
def test_an_unknown_task_is_named_with_the_nearest(tmp_path, tasks):
    change(tmp_path)
    arguments = [part for name in tasks for part in ("--tasks", name)]
    result = cli("train", "--project", tmp_path, *arguments)
    assert result.exit_code == 2
    assert "`--tasks`: unknown task `serch`" in result.stderr
    assert "Did you mean `search`?" in result.stderr


@pytest.mark.parametrize("tasks", ["", ",", " , "])
def test_a_choice_of_no_task_is_refused(tmp_path, tasks):
    change(tmp_path)
    result = cli("train", "--project", tmp_path, "--tasks", tasks)
    assert result.exit_code == 2
    assert "`--tasks` names no task. Known: `home_feed`, `more_like_this`, `search`" in result.stderr


def test_a_movielens_source_for_another_project_is_refused(tmp_path):
    change(tmp_path)
    result = cli("validate", "--project", tmp_path, "--source", tmp_path)
    assert result.exit_code == 2
    assert "`--source` names MovieLens data" in result.stderr
    assert "data.type: tables" in result.stderr
