"""Search of a directory for the tables of a log: which file holds the events, which the items, which the users."""

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError, listed
from unified_ranker.project.init.column_choices import Choice
from unified_ranker.project.init.propose_columns import propose_columns
from unified_ranker.project.init.raw_columns import LOOKED_AT, RawColumn, raw_columns
from unified_ranker.reading.raw import raw_table

_SUFFIXES = (".parquet", ".csv", ".tsv", ".dat", ".txt", ".json", ".jsonl", ".ndjson")
_COMPRESSED = (".gz", ".zst")
_NO_TABLE = ("readme", "license", "licence", ".", "_")
_PART = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|(?<![a-z])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-z])"
)
"""What differs in the names of the parts of a table: numbers, ids of a job, months."""
DEPTH = 2
"""Levels of a directory that are searched."""


@dataclass(frozen=True, eq=False)
class LookedAtTable:
    """Table from elsewhere: its source, its columns, and its size in bytes, 0 for a query."""

    source: TableSource
    columns: Mapping[str, RawColumn]
    size: int = 0

    @property
    def name(self) -> str:
        """Name of its file, or of its query."""
        return self.source.name if self.source.files is None else self.source.files.name


def read_raw(source: TableSource, directory: Path, size: int = 0) -> LookedAtTable:
    """Look at the table of a source whose paths are relative to `directory`."""
    return LookedAtTable(source, raw_columns(raw_table(source, directory, LOOKED_AT)), size)


def find_tables(directory: Path) -> dict[str, LookedAtTable]:
    """Return the tables of a log in a directory: `events`, and `items` and `users` where there are such.

    The events are the largest table with a user, an item and a time. The items and users are tables with a key that
    the events hold; of several the one that describes them best.

    Raises:
        UserError: no table can be the events.
    """
    tables = _tables(directory)
    complete = [(rank, table) for table in tables if (rank := _rank_of_events(table)) is not None]
    if len(tables) == 1:
        # Whatever it is, a person can say what its columns are.
        return {"events": tables[0]}
    if not complete:
        raise UserError(
            f"`--from {directory}`: no table has a user and an item. Received: {listed(t.name for t in tables)}. "
            "Name the tables with --events, --items and --users, and the columns with --map."
        )
    events = max(complete, key=lambda pair: pair[0])[1]
    found = {"events": events}
    for name in ("items", "users"):
        ranked = [
            (key, table)
            for table in tables
            if table not in found.values() and (key := _rank_of_key(name, table, events)) is not None
        ]
        if ranked:
            found[name] = max(ranked, key=lambda pair: pair[0])[1]
    return found


def _rank_of_events(table: LookedAtTable) -> tuple[int, int] | None:
    """Return how well a table suits as the events: what is known of an event besides user and item, and its size."""
    chosen = _chosen(propose_columns({"events": table.columns}, {}, {"events": table.name}))
    if chosen["user_id"].taken is None or chosen["item_id"].taken is None:
        return None
    more = [c for c in ("timestamp", "value", "event_type") if c in chosen and chosen[c].taken is not None]
    return ("timestamp" in more) + bool(more), table.size


def _rank_of_key(name: str, table: LookedAtTable, events: LookedAtTable) -> tuple[int, int] | None:
    """Return how well a table suits as the items or users; None where the events do not hold its key."""
    key = "item_id" if name == "items" else "user_id"
    known = {"events": events.columns, name: table.columns}
    choices = propose_columns(known, {}, {"events": events.name})
    ours = _chosen(choices)[key]
    theirs = {c.column: c for c in choices if c.table == name}
    held = table.columns.get(theirs[key].taken or "")
    if held is None or not held.unique or ours.taken is None or ours.doubt:
        return None
    described = sum(column in theirs for column in ("title", "categories", "created_at", "country"))
    return described + ("title" in theirs), len(table.columns)


def _chosen(choices: list[Choice]) -> dict[str, Choice]:
    return {choice.column: choice for choice in choices if choice.table == "events"}


def _tables(directory: Path) -> list[LookedAtTable]:
    """Return the tables in a directory; files that are the parts of one table are one."""
    groups: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in sorted(directory.rglob("*")):
        bare = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
        inside = path.relative_to(directory).parts
        named = bare.suffix.lower() in _SUFFIXES and not any(part.lower().startswith(_NO_TABLE) for part in inside)
        if path.is_file() and named and len(inside) <= DEPTH:
            groups[path.parent, _PART.sub("#", path.name.lower())].append(path)
    tables = []
    for paths in groups.values():
        for part in _one_table(paths, directory):
            size = sum(path.stat().st_size for path in part.parent.glob(part.name))
            try:
                tables.append(read_raw(TableSource(files=part.absolute()), directory, size))
            except UserError:
                # A file of text beside the tables, such as notes.
                continue
    return tables


def _one_table(paths: list[Path], directory: Path) -> list[Path]:
    """Return the pattern of files that are parts of one table, or the files where they are not."""
    if len(paths) == 1:
        return paths
    names = [path.name for path in paths]
    begin = _common(names)
    end = _common([name[len(begin) :][::-1] for name in names])[::-1]
    pattern = paths[0].parent / f"{begin}*{end}"
    if sorted(pattern.parent.glob(pattern.name)) != paths:
        return paths
    first, last = (raw_table(TableSource(files=path.absolute()), directory, 1) for path in (paths[0], paths[-1]))
    return [pattern] if first.column_names == last.column_names else paths


def _common(names: list[str]) -> str:
    """Return the longest common beginning."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)
