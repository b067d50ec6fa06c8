"""Tables that a project reads: once, again when they change, with the prepared data of tables that lie right."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_project import declarations, events_table, items_table, users_table, write_files, write_project

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.prepare_stage import prepare_stage, validate
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace


def context_of(project, *overrides):
    return StageContext(Workspace(project, load_config(project, overrides)))


def project_with(directory, write, **data):
    """The small project over other events; its items and users stay."""
    project = write_project(directory)
    files = declarations()
    files["project.yaml"]["data"] |= data
    write_files(project, {"project.yaml": files["project.yaml"]})
    write(project / "data")
    return project


def digests(context):
    prepare_stage(context)
    manifest = json.loads((context.workspace.stage("prepare") / "manifest.json").read_text())
    return {name: entry["sha256"] for name, entry in manifest["files"].items() if name.endswith(".arrow")}


THEIRS = {"user_id": "visitor", "item_id": "product", "timestamp": "ms", "event_type": "what"}
MAPPED = {**THEIRS, "event_type": {"column": "what", "values": {"_click": "click"}}}


def as_json_lines(folder):
    frame = events_table().rename(columns=THEIRS)
    frame["ms"] = frame["ms"].astype("datetime64[ms, UTC]").astype("int64")
    frame["what"] = frame["what"].replace({"click": "_click"})
    frame.to_json(folder / "log.jsonl.gz", orient="records", lines=True)


def as_csv(folder):
    events_table().to_csv(folder / "log.csv", index=False, sep=";")


@pytest.mark.parametrize(
    ("write", "data"),
    [
        (as_json_lines, {"events": "data/log.jsonl.gz", "columns": {"events": MAPPED}}),
        (as_csv, {"events": "data/log.csv"}),
    ],
)
def test_prepared_data_are_those_of_tables_that_lie_right(tmp_path, write, data):
    plain = project_with(tmp_path / "plain", lambda folder: None)
    items = items_table()
    items["categories"] = [text.split("|") for text in items["categories"]]
    for name, frame in (("items", items), ("users", users_table())):
        frame.to_parquet(plain / "data" / f"{name}.parquet", index=False)
    lying = {"project.data.items": "data/items.parquet", "project.data.users": "data/users.parquet"}
    expected = digests(context_of(plain, *(f"{path}={value}" for path, value in lying.items())))
    assert digests(context_of(project_with(tmp_path / "read", write, **data))) == expected
    assert not (plain / ".unified_ranker" / "reading").exists()
    assert (tmp_path / "read" / ".unified_ranker" / "reading" / "read.json").exists()


def test_tables_are_read_again_when_a_file_or_a_declaration_changes(tmp_path):
    project = project_with(tmp_path, as_csv, events="data/log.csv")
    written = project / ".unified_ranker" / "reading" / "events" / "0.parquet"

    def read(*overrides):
        context_of(project, *overrides).workspace.read_tables()
        return written.stat().st_ino

    first = read()
    assert read() == first
    second = read('project.data.columns={"events": {"country": {"value": GB}}}')
    assert second != first
    text = (project / "data" / "log.csv").read_text()
    (project / "data" / "log.csv").write_text(text.rsplit("\n", 2)[0] + "\n")
    assert read('project.data.columns={"events": {"country": {"value": GB}}}') != second
    assert pq.read_metadata(written).num_rows == len(events_table()) - 1


def with_faults(folder):
    frame = events_table().astype(object)
    frame.loc[3, "timestamp"] = "soon"
    frame.loc[8, "item_id"] = "gone"
    frame.to_csv(folder / "log.csv", index=False)


def test_bad_rows_of_reading_and_of_the_rules_are_one_quarantine(tmp_path):
    project = project_with(tmp_path, with_faults, events="data/log.csv")
    failed = [check.line() for check in validate(context_of(project)) if check.failed]
    assert any(line.startswith("FAIL events.timestamp is a time: 1 of 1,500 rows") for line in failed)
    assert any("events.item_id is known in items" in line for line in failed)
    with pytest.raises(UserError, match=r"events\.timestamp is a time"):
        prepare_stage(context_of(project))
    tolerant = context_of(project, "project.data.max_bad_share=0.002")
    lines = [check.line() for check in validate(tolerant)]
    assert "PASS events is read from `data/log.csv`: text with commas between the columns, a header" in lines
    assert any(line.startswith("WARN events.timestamp is a time") for line in lines)
    prepare_stage(tolerant)
    rows = pd.DataFrame(pq.read_table(tolerant.workspace.stage("prepare") / "quarantine.parquet").to_pylist())
    assert dict(zip(rows["row"], rows["reason"], strict=True)) == {
        3: "events.timestamp is a time",
        8: "events.item_id is known in items",
    }
    assert set(rows["file"]) == {str(project / "data" / "log.csv")}
    quality = json.loads((tolerant.workspace.stage("prepare") / "quality.json").read_text())
    assert quality["events"]["read"] == 1500
    assert sum(quality["events"]["quarantined"].values()) == 2


def test_the_share_counts_all_faults_together(tmp_path):
    project = project_with(tmp_path, with_faults, events="data/log.csv")
    # One of 1,500 by reading and one by the rules: each below the share, both together above it.
    with pytest.raises(UserError, match=r"at most 0.001 of the events may be bad. Received: 2 of 1,500"):
        prepare_stage(context_of(project, "project.data.max_bad_share=0.001"))
