"""Preparation of a project's log by the chosen engine, from its files to the prepared data."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.config import Config, MovieLensSource
from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.engines.by_name import SMALL_ROWS, EngineChoice
from unified_ranker.engines.job import Job
from unified_ranker.engines.job_progress import run_job
from unified_ranker.engines.shards import DiskShards
from unified_ranker.log.check import Check, tolerate
from unified_ranker.log.parquet_files import require_one_form
from unified_ranker.log.quarantine import QUARANTINE
from unified_ranker.log.schema import InteractionLog
from unified_ranker.log.table_checks import known_columns
from unified_ranker.log.table_files import table_files
from unified_ranker.prepare.check_counts import add_up
from unified_ranker.prepare.column_drift import plot_drift
from unified_ranker.prepare.log_quality import LogQuality
from unified_ranker.prepare.prepare_job import plan_source, prepare_job
from unified_ranker.prepare.prepared import NAMES_FILE, SPLIT_FILE, to_frame
from unified_ranker.prepare.shuffle_stage import names_of
from unified_ranker.prepare.stage_names import (
    FINISH_STAGE,
    HISTORIES_STAGE,
    ORDER_STAGE,
    SCAN_STAGE,
    TABLES_STAGE,
    USERS_STAGE,
    LogSource,
)
from unified_ranker.prepare.table_splits import SPLIT_ROWS
from unified_ranker.prepare.whole_log_checks import scanned_log_checks
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.log_files import with_reading
from unified_ranker.project.workspace import Workspace

MANIFEST_FILE, QUALITY_FILE, QUARANTINE_FILE, DRIFT_PLOT = (
    "manifest.json", "quality.json", "quarantine.parquet", "drift.png",
)  # fmt: skip
PUBLISHED = {HISTORIES_STAGE: ("histories",), ORDER_STAGE: ("events", "examples")}
"""Outputs that are part of the prepared data, a file for each shard."""


class Preparation:
    """Job that prepares a project, with its shards on disk; finished shards are reused."""

    def __init__(
        self, workspace: Workspace, key: str, choice: EngineChoice, known: tuple[Path, Path] | None = None
    ) -> None:
        """Plan the job; `known` are the files with the ids (items, users) that keep their indices."""
        self.workspace, self.config, self._choice = workspace, workspace.config, choice
        source = _source(workspace, choice.split_rows)
        if known is not None:
            source = replace(source, known_items=known[0], known_users=known[1])
        self.source = source
        # The cut of the log changes the shards, but not the published data.
        self.job = prepare_job(source, self.config, f"{key} {choice.split_rows}")
        folder = workspace.work / "shards"
        self.shards = DiskShards(folder / self.job.key)
        for other in folder.glob("*"):
            if other != self.shards.root:
                shutil.rmtree(other)
        self.finished = self.shards.resume(self.job)

    def run(self, until: str = FINISH_STAGE) -> None:
        """Make the missing shards of all stages up to `until`.

        Raises:
            UserError: by a fault of the input or the machine; finished shards stay for the next run.
        """
        names = [stage.name for stage in self.job.stages]
        job = Job(self.job.key, self.job.stages[: names.index(until) + 1])
        run_job(self._choice.open(self.source.rows), job, self.shards, "prepare")

    def checks(self) -> list[Check]:
        """Check data and declarations together, by the stages that read the log."""
        self.run(SCAN_STAGE)
        self.run(USERS_STAGE)
        items, users = (to_frame(self.shards.read(TABLES_STAGE, 0, name)) for name in ("items", "users"))
        sample = self.shards.gather(SCAN_STAGE, "sample")
        log = InteractionLog(to_frame(_as_text(sample)), items, users)
        checks = [
            Check("the tables have the required columns, of the right types", passed=True),
            known_columns(pa.Table.from_pylist([], schema=sample.schema)),
            *add_up(self.shards.read(TABLES_STAGE, 0, "checks")),
            *add_up(self.shards.gather(SCAN_STAGE, "checks")),
            *scanned_log_checks(self.shards),
        ]
        most = self.config.project.data.max_bad_share
        checks = with_reading(self.source.read.checks(most), checks)
        return tolerate([*checks, *check_declarations(self.config, log, sampled=True)], most)

    def publish(self, draft: Path) -> dict[str, int]:
        """Move the tables into `draft`, with the manifest; returns rows by table.

        Tables are moved, not copied, so a second run would make their shards again; the rest goes with the shards.
        """
        shards = self.shards
        rows: dict[str, int] = {}
        for name, stage in (("items", TABLES_STAGE), ("users", USERS_STAGE)):
            shutil.copy(shards.directory(stage, 0) / f"{name}.arrow", draft / f"{name}.arrow")
        for stage, outputs in PUBLISHED.items():
            for output in outputs:
                (draft / output).mkdir()
                for shard in range(self.source.ranges):
                    (shards.directory(stage, shard) / f"{output}.arrow").rename(draft / output / f"{shard:05d}.arrow")
        tasks, types = names_of(shards)
        _write(draft / NAMES_FILE, {"tasks": tasks, "event_types": types, "heads": list(self.config.heads)})
        _write(draft / SPLIT_FILE, shards.read(FINISH_STAGE, 0, "split").to_pylist()[0])
        quality = LogQuality.of_json(json.loads(shards.read(FINISH_STAGE, 0, "quality")["json"][0].as_py()))
        _write(draft / QUALITY_FILE, quality.to_json())
        if quality.drift:
            plot_drift(quality.drift, draft / DRIFT_PLOT)
        self._write_quarantine(draft / QUARANTINE_FILE)
        files = {}
        for file in sorted(p for p in draft.rglob("*") if p.is_file()):
            entry: dict[str, Any] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
            if file.suffix == ".arrow":
                with pa.memory_map(str(file)) as source:
                    reader = pa.ipc.open_file(source)
                    entry["rows"] = sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))
                table = file.parent.name if file.parent != draft else file.stem
                rows[table] = rows.get(table, 0) + entry["rows"]
            files[str(file.relative_to(draft))] = entry
        pieces = [piece.file for split in self.source.events for piece in split if piece.file]
        inputs = self.workspace.data_files() if self.source.read.tables else pieces
        _write(draft / MANIFEST_FILE, {"rows": rows, "inputs": sorted({str(file) for file in inputs}), "files": files})
        return {name: rows[name] for name in ("events", "items", "users", "examples")}

    def clear(self) -> None:
        """Remove the shards, once the prepared data is in place."""
        shutil.rmtree(self.shards.root, ignore_errors=True)

    def report_failure(self, file: Path) -> None:
        """Write the quarantined rows to a file for the user, if the log was read so far."""
        if all(self.shards.has(SCAN_STAGE, shard) for shard in range(len(self.source.events))):
            self._write_quarantine(file)

    def _write_quarantine(self, file: Path) -> None:
        """Write the quarantined rows as Parquet, those of the reading first, if there are any."""
        rows = [self.shards.gather(SCAN_STAGE, "quarantine").cast(QUARANTINE)]
        if self.source.read.tables and (found := self.workspace.log_tables.quarantine) is not None:
            rows.insert(0, pq.read_table(found).cast(QUARANTINE))
        if sum(map(len, rows)):
            pq.write_table(pa.concat_tables(rows), file)


def prepare_project(
    preparation: Preparation, draft: Path, note: Callable[[str], None] = lambda text: None
) -> dict[str, int]:
    """Run the job and publish the tables into `draft`; returns rows by table.

    Raises:
        UserError: by a fault of the input or the machine; finished shards stay for the next run.
    """
    if preparation.finished:
        note(f"{preparation.finished} shards of an interrupted run are reused")
    quarantine = preparation.workspace.work / QUARANTINE_FILE
    quarantine.unlink(missing_ok=True)
    try:
        preparation.run()
    except UserError as error:
        preparation.report_failure(quarantine)
        if not quarantine.exists():
            raise
        raise UserError(f"{error}\nThe quarantined rows: `{quarantine}`.") from error
    return preparation.publish(draft)


def is_large(config: Config, workspace: Workspace) -> bool:
    """Tell whether a log is too large to be checked in memory, by the footers of its files.

    Raises:
        UserError: a file is not there or damaged.
    """
    source = config.project.data
    if isinstance(source, MovieLensSource):
        return False
    workspace.data_files()
    return _source(workspace, SPLIT_ROWS).rows > SMALL_ROWS


def _source(workspace: Workspace, rows: int) -> LogSource:
    declared = workspace.config.project.data
    if isinstance(declared, MovieLensSource):
        tables = workspace.read_tables()
        return plan_source(tables.events, tables.items, tables.users, rows)
    found = workspace.log_tables
    require_one_form(table_files(found.items))
    return replace(plan_source(found.events, found.items, found.users, rows), read=found.read)


def _as_text(table: pa.Table) -> pa.Table:
    """Return a sample of events in the types of `schema.InteractionLog`."""
    frame = table.to_pandas()
    frame["position"] = frame["position"].astype("Int64")
    frame["value"] = frame["value"].astype("float32")
    return pa.Table.from_pandas(frame, preserve_index=False)


def _write(file: Path, tree: Any) -> None:
    file.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
