"""The stages of preparing: the same result however the log is cut and the engine; bad input named and quarantined."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import cli, declarations, events_table, tables, write_files, write_project

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.column_drift import column_drift, stability
from unified_ranker.prepare.log_quality import LogQuality
from unified_ranker.prepare.prepared import Prepared, prepare
from unified_ranker.project import prepare_stage
from unified_ranker.project.project_preparation import Preparation, is_large, prepare_project
from unified_ranker.project.stage_context import StageContext, StageMemory
from unified_ranker.project.workspace import Workspace

ROWS = 300
"""Events of a split and of a range here, so that 1,500 events make several of each."""


def project_in(directory, events=None, **data):
    """The small project with its events in four files, in no order, and row groups of 100."""
    files = declarations()
    files["project.yaml"]["data"] = {**files["project.yaml"]["data"], "events": "data/events", **data}
    write_project(directory, tables(), files)
    folder = directory / "data" / "events"
    folder.mkdir()
    shuffled = (events_table() if events is None else events).sample(frac=1.0, random_state=3)
    for number, part in enumerate(np.array_split(np.arange(len(shuffled)), 4)):
        table = pa.Table.from_pandas(shuffled.iloc[part], preserve_index=False)
        options = {"row_group_size": 100, "write_page_checksum": True}
        pq.write_table(table, folder / f"part-{number}.parquet", **options)
    return directory


def prepared_by(directory, engine="in-process", rows=ROWS):
    """Prepare a project by an engine into a directory of its own, and return that."""
    config = load_config(directory)
    out = directory / f"out-{engine}-{rows}"
    out.mkdir()
    choice = EngineChoice(engine, workers=2, split_rows=rows)
    prepare_project(Preparation(Workspace(directory, config), engine, choice), out)
    return out


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def assert_same(one, other):
    for name in ("events", "histories", "examples"):
        for field in dataclasses.fields(getattr(one, name)):
            left, right = (getattr(getattr(p, name), field.name) for p in (one, other))
            np.testing.assert_array_equal(left, right, f"{name}.{field.name}")
    assert one.split == other.split
    pd.testing.assert_frame_equal(one.items, other.items)
    pd.testing.assert_frame_equal(one.users, other.users)


# --- one implementation, whoever carries it


def test_every_engine_gives_the_same_bytes(tmp_path):
    project = project_in(tmp_path / "project")
    plain = contents(prepared_by(project))
    assert len([name for name in plain if name.startswith("examples/")]) == 5
    for engine in ("beam", "dask"):
        assert contents(prepared_by(project, engine)) == plain, engine


def test_the_result_is_the_same_however_the_log_is_cut_and_as_in_memory(tmp_path):
    project = project_in(tmp_path / "project")
    whole, cut = (Prepared.load(prepared_by(project, rows=rows)) for rows in (1_000_000, ROWS))
    assert_same(whole, cut)
    frames = tables()
    log = normalise(frames["events"], frames["items"], frames["users"])
    in_memory = prepare(log, load_config(project))
    for name in ("events", "histories", "examples"):
        for field in dataclasses.fields(getattr(cut, name)):
            left, right = (getattr(getattr(p, name), field.name) for p in (cut, in_memory))
            np.testing.assert_array_equal(left, right)


def test_the_manifest_holds_rows_and_checksums(tmp_path):
    out = prepared_by(project_in(tmp_path / "project"))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["rows"]["events"] == 1500
    import hashlib

    for name, entry in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == entry["sha256"], name
    per_file = [pa.ipc.open_file(out / n).read_all().num_rows for n in manifest["files"] if n.startswith("events/")]
    assert sum(per_file) == 1500


# --- what real logs are like


def hazards():
    """The log with a user of 700 events, an item with half of all, repetitions and clocks that are ahead."""
    events = events_table()
    heavy = events.sample(700, replace=True, random_state=1).assign(user_id="u7", item_id="i3")
    heavy["timestamp"] += pd.to_timedelta(np.arange(700), "s")
    hot = events.sample(900, replace=True, random_state=2).assign(item_id="i3")
    hot["timestamp"] += pd.to_timedelta(np.arange(900), "ms")
    ahead = events.head(3).assign(timestamp=pd.Timestamp.now("UTC") + pd.Timedelta(days=400))
    sound = pd.concat([events, heavy, hot])
    return sound, pd.concat([sound, events.head(20), events.head(5), ahead])


def test_hazards_are_counted_and_leave_the_rest_as_it_is(tmp_path):
    sound, everything = hazards()
    clean = Prepared.load(prepared_by(project_in(tmp_path / "clean", sound)))
    out = prepared_by(project_in(tmp_path / "all", everything))
    assert_same(clean, Prepared.load(out))
    written = json.loads((out / "quality.json").read_text())
    quality = LogQuality.of_json(written)
    assert json.loads(json.dumps(quality.to_json())) == written
    assert quality.events.read == len(everything)
    assert quality.events.kept == len(sound)
    assert quality.events.repeated == 25
    assert quality.events.out_of_order > 1000
    assert quality.events.quarantined == {"events.timestamp is not in the future": 3}
    assert quality.extremes.most_events_of_a_user >= 700
    assert quality.extremes.largest_share_of_an_item > 0.5
    assert any(line.startswith("WARN events are distinct: 25 of") for line in quality.checks)
    assert any(line.startswith("PASS events.item_id is present") for line in quality.checks)


def test_repetitions_can_be_kept(tmp_path):
    events = pd.concat([events_table(), events_table().head(20)])
    out = prepared_by(project_in(tmp_path / "project", events, duplicates="keep"))
    assert len(Prepared.load(out).events.item) == 1520


def test_bad_rows_stop_the_job_above_the_declared_share_and_are_quarantined_below_it(tmp_path):
    events = events_table().reset_index(drop=True)
    events.loc[:9, "item_id"] = "gone"
    project = project_in(tmp_path / "project", events)
    with pytest.raises(
        UserError, match=r"events.item_id is known in items: 10 of 1,500.*\n.*max_bad_share.*"
    ) as caught:
        prepared_by(project)
    quarantine = project / ".unified_ranker" / "quarantine.parquet"
    assert str(quarantine) in str(caught.value)
    assert set(pq.read_table(quarantine)["item_id"].to_pylist()) == {"gone"}
    tolerant = project_in(tmp_path / "tolerant", events, max_bad_share=0.01)
    out = prepared_by(tolerant)
    rows = pq.read_table(out / "quarantine.parquet").to_pylist()
    assert len(rows) == 10
    for row in rows:
        table = pq.ParquetFile(row["file"]).read_row_group(row["row_group"])
        assert table["item_id"][row["row"]].as_py() == "gone", "the row is where the quarantine says"
        assert row["reason"] == "events.item_id is known in items"
    assert len(Prepared.load(out).events.item) == 1490
    checks = prepare_stage.validate(StageContext(Workspace(tolerant, load_config(tolerant))))
    assert not any(check.failed for check in checks)


# --- what cannot be read or written


def test_a_head_without_examples_is_refused(tmp_path):
    project = project_in(tmp_path / "project")
    positives = [*declarations()["tasks/home_feed.yaml"]["positives"], {"event_type": "order", "head": "k"}]
    write_files(project, {"tasks/home_feed.yaml": {**declarations()["tasks/home_feed.yaml"], "positives": positives}})
    with pytest.raises(UserError, match=r"head `k`: it has examples.*`tasks/home_feed.yaml`"):
        prepared_by(project)


def test_a_corrupt_row_group_is_named_and_the_second_run_succeeds(tmp_path):
    project = project_in(tmp_path / "project")
    file = project / "data" / "events" / "part-2.parquet"
    sound = file.read_bytes()
    where = pq.ParquetFile(file).metadata.row_group(1).column(0).data_page_offset
    file.write_bytes(sound[: where + 30] + bytes(40) + sound[where + 70 :])
    with pytest.raises(UserError, match=r"part-2.parquet`, row group 1 of 4, cannot be read"):
        prepared_by(project)
    file.write_bytes(sound)
    (project / f"out-in-process-{ROWS}").rmdir()
    assert len(Prepared.load(prepared_by(project)).events.item) == 1500


def test_a_truncated_file_and_one_of_another_type_are_named(tmp_path):
    project = project_in(tmp_path / "project")
    file = project / "data" / "events" / "part-1.parquet"
    sound = file.read_bytes()
    file.write_bytes(sound[:-100])
    with pytest.raises(UserError, match=r"part-1.parquet` cannot be read as Parquet"):
        prepared_by(project)
    file.write_bytes(sound)
    table = pq.read_table(file)
    changed = table.set_column(table.column_names.index("value"), "value", pa.array(["x"] * len(table)))
    pq.write_table(changed, file)
    with pytest.raises(
        UserError, match=r"events.value is a number: 375 of 1,500 rows.*`x \(row 0 of .*part-1.parquet\)`"
    ):
        prepared_by(project, rows=400)


def test_a_full_disk_leaves_nothing_that_is_taken_for_whole(tmp_path):
    """Files may grow to 20 kB only: the kernel refuses the write in the middle of a shard."""
    project = project_in(tmp_path / "project")
    command = [sys.executable, "-c", "from unified_ranker.cli import main; main()", "prepare", "-p", str(project)]

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(command, preexec_fn=small_files, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".unified_ranker" / "prepare").exists()
    assert cli("prepare", "-p", project).exit_code == 0


def test_a_killed_run_goes_on_from_its_finished_shards(tmp_path):
    project = project_in(tmp_path / "project")
    expected = contents(prepared_by(project))
    code = (
        "import sys, os, signal\nfrom pathlib import Path\n"
        "from unified_ranker.prepare import histories_stage\n"
        "whole = histories_stage.canonical_order\ncalls = []\n"
        "def order(*a):\n    calls.append(1)\n"
        "    if len(calls) == 3: os.kill(os.getpid(), signal.SIGKILL)\n    return whole(*a)\n"
        "histories_stage.canonical_order = order\n"
        "import importlib\nsys.path.insert(0, sys.argv[2])\nfrom test_prepare_job import prepared_by\n"
        "prepared_by(Path(sys.argv[1]), 'in-process', 299)\n"
    )
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent / "toys")])
    environment = {**os.environ, "PYTHONPATH": paths}
    killed = subprocess.run([sys.executable, "-c", code, str(project), str(here)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    work = project / ".unified_ranker" / "shards"
    finished = {p: p.stat().st_mtime_ns for p in work.rglob("shard.json")}
    assert len(finished) > 10
    assert not contents(project / "out-in-process-299")
    (project / "out-in-process-299").rmdir()
    again = prepared_by(project, rows=299)
    assert all(p.stat().st_mtime_ns == at for p, at in finished.items() if p.exists())
    assert_same(Prepared.load(project / f"out-in-process-{ROWS}"), Prepared.load(again))
    assert expected["split.json"] == contents(again)["split.json"]


# --- the command line, and drift


def test_prepare_prints_counts_and_drift(tmp_path):
    project = project_in(tmp_path / "project")
    result = cli("prepare", "-p", project, "--engine", "beam")
    assert result.exit_code == 0, result.output
    assert "1,500 read, 1,500 kept" in result.stdout
    assert "PSI" in result.stdout
    assert (project / ".unified_ranker" / "prepare" / "drift.png").stat().st_size > 5000
    assert not list((project / ".unified_ranker" / "shards").glob("*"))
    assert "up to date" in cli("prepare", "-p", project).stdout


def test_the_stability_index_is_that_of_the_textbook():
    index, shares = stability(np.array([50, 30, 20]), np.array([40, 30, 30]))
    expected = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.3 - 0.2) * np.log(0.3 / 0.2)
    assert index == pytest.approx(expected)
    np.testing.assert_allclose(shares, [[0.5, 0.3, 0.2], [0.4, 0.3, 0.3]])
    assert stability(np.array([5, 5]), np.array([50, 50]))[0] == 0


def test_a_column_that_moves_is_found_and_one_that_stays_is_not(tmp_path):
    events = events_table()
    late = events["timestamp"] >= events["timestamp"].quantile(0.8)
    events["country"] = np.where(late, "FR", np.where(np.arange(len(events)) % 2, "GB", "DE"))
    out = prepared_by(project_in(tmp_path / "project", events))
    quality = LogQuality.of_json(json.loads((out / "quality.json").read_text()))
    moved = {row.column: row for row in quality.drift}
    assert moved["country"].verdict == "large"
    assert moved["country"].most == "FR"
    # A few events share the second at which the windows meet.
    assert (moved["country"].before, moved["country"].after) == pytest.approx((0.0, 1.0), abs=0.01)
    assert moved["task"].verdict == "stable"
    assert column_drift(pa.table({"slice": [], "column": [], "bin": [], "rows": []})) == []


def test_a_log_is_large_by_the_rows_that_its_files_tell_of(tmp_path):
    project = project_in(tmp_path / "project")
    assert not is_large(load_config(project), Workspace(project, load_config(project)))
    folder = project / "data" / "events"
    part = pq.read_table(folder / "part-0.parquet")
    pq.write_table(part.take(np.zeros(1_000_001, np.int64)), folder / "part-0.parquet")
    assert is_large(load_config(project), Workspace(project, load_config(project)))


def test_a_large_log_is_validated_by_the_pipeline(tmp_path):
    project = project_in(tmp_path / "project")

    def context(large):
        return StageContext(Workspace(project, load_config(project)), memory=StageMemory(large=large))

    large, small = context(True), context(None)
    names = [check.name for check in prepare_stage.validate(large)]
    missing = {check.name for check in prepare_stage.validate(small)} - set(names)
    counted = {name for name in missing if name.endswith("was known before the events")}
    assert missing - counted <= {"events is not empty", "events are distinct"}, missing
    assert not prepare_stage.prepare_stage(large).skipped
    write_files(project, {"tasks/home_feed.yaml": {"positives": [{"event_type": "clik"}]}})
    assert not small.memory.large
    assert any(check.failed and "clik" in check.line() for check in prepare_stage.validate(context(True)))
