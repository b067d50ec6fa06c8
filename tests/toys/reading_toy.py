"""A project's tables, read: what is declared and not given is small and right."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq

from unified_ranker.config import TablesSource
from unified_ranker.project.log_files import LogTables, lies_as_read, loaded, read_into, tables_of

EVENTS = "user_id,item_id,task,event_type,timestamp\nu,i,home_feed,view,2024-05-01\n"


def read_log(directory: Path, data: dict) -> LogTables:
    """Read the declared tables of a directory."""
    if "events" not in data:
        (directory / "given_events.csv").write_text(EVENTS)
        data = {"events": "given_events.csv", **data}
    declared = TablesSource.model_validate({"type": "tables", **data})
    reading = None
    if not lies_as_read(declared, directory):
        reading = directory / "reading"
        shutil.rmtree(reading, ignore_errors=True)
        reading.mkdir()
        read_into(declared, directory, reading)
    return tables_of(declared, directory, reading)


def read_project(directory: Path, data: dict):
    """Return events, items and users as Arrow tables."""
    tables = loaded(read_log(directory, data))
    return tables.events, tables.items, tables.users


def quarantined(tables: LogTables) -> list[dict]:
    """Return the rows that the reading has quarantined."""
    return [] if tables.quarantine is None else pq.read_table(tables.quarantine).to_pylist()
