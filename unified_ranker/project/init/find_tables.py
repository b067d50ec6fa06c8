"""Search of a directory for the tables of a log: which file holds the events, which the items, which the users."""

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError, listed
from unified_ranker.log.check import MAX_LISTED
from unified_ranker.project.init.column_choices import Choice, Said
from unified_ranker.project.init.propose_columns import propose_columns
from unified_ranker.project.init.raw_columns import LOOKED_AT, RawColumn, raw_columns
from unified_ranker.reading.duck import sql_text
from unified_ranker.reading.raw import raw_table
from unified_ranker.reading.source_files import COMPRESSED_SUFFIXES, DATA_SUFFIXES

_SUFFIXES = (*DATA_SUFFIXES, ".txt")
_NO_TABLE = ("readme", "license", "licence", ".", "_")
_PART = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|(?<![a-z])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-z])"
)
"""What differs in the names of the parts of a table: numbers, ids of a job, months."""
LEAST_HELD = 0.5
"""Share of a key's values in the events that another table must hold to be one of it."""
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


@dataclass(frozen=True, eq=False)
class FoundTables:
    """Tables of a log in a directory.

    Attributes:
        tables: by name: `events`, and `items` and `users` where there are such.
        unread: the reason for each file that cannot be read.
        unused: the reason for which each of the other tables is none of the log's, by its name.
    """

    tables: dict[str, LookedAtTable]
    unread: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)


def find_tables(directory: Path, said: Said | None = None) -> FoundTables:
    """Return the tables of a log in a directory: `events`, and `items` and `users` where there are such.

    The events are the largest table with a user, an item and a time. The items and users are tables with a key that
    the events hold; of several the one that describes them best.

    Args:
        directory: is searched.
        said: what a person said of columns; None: nothing.

    Raises:
        UserError: no table can be the events.
    """
    said = said or {}
    tables, unread = _tables(directory)
    complete = [(rank, table) for table in tables if (rank := _rank_of_events(table, said)) is not None]
    if len(tables) == 1:
        # Whatever it is, a person can say what its columns are.
        return FoundTables({"events": tables[0]}, unread)
    if not complete:
        received = listed(t.name for t in tables)
        if not tables:
            others = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
            received = f"no file of a table among {listed(others[:MAX_LISTED])}, such as *.parquet, *.csv or *.json"
        raise UserError(
            f"`--from {directory}`: no table has a user and an item. Received: {received}. "
            + "".join(f"{reason} " for reason in unread)
            + "Name the tables with --events, --items and --users, and the columns with --map."
        )
    events = max(complete, key=lambda pair: pair[0])[1]
    found = {"events": events}
    for name in ("items", "users"):
        ranked = [
            (key, table)
            for table in tables
            if table not in found.values() and (key := _rank_of_key(name, table, events, said)) is not None
        ]
        if ranked:
            found[name] = max(ranked, key=lambda pair: pair[0])[1]
    unused = [table for table in tables if table not in found.values()]
    return FoundTables(found, unread, {table.name: _why_unused(table, events, said, found) for table in unused})


def _rank_of_events(table: LookedAtTable, said: Said) -> tuple[int, int] | None:
    """Return how well a table suits as the events: what is known of an event besides user and item, and its size.

    A table without a column that a person named is not meant.
    """
    ours = {column: source for column, source in said.get("events", {}).items() if source is not None}
    if any(name not in table.columns for source in ours.values() for name in source.theirs):
        return None
    chosen = _chosen(propose_columns({"events": table.columns}, {"events": ours}, {"events": table.name}))
    if chosen["user_id"].taken is None or chosen["item_id"].taken is None:
        return None
    more = [c for c in ("timestamp", "value", "event_type") if c in chosen and chosen[c].takes]
    return ("timestamp" in more) + bool(more), table.size


def _rank_of_key(name: str, table: LookedAtTable, events: LookedAtTable, said: Said) -> tuple[int, int] | None:
    """Return how well a table suits as the items or users; None where the events do not hold its key."""
    key = "item_id" if name == "items" else "user_id"
    known = {"events": events.columns, name: table.columns}
    choices = propose_columns(known, said, {"events": events.name})
    ours = _chosen(choices)[key]
    theirs = {c.column: c for c in choices if c.table == name}
    held, holding = table.columns.get(theirs[key].taken or ""), events.columns.get(ours.taken or "")
    if held is None or not held.unique or holding is None or ours.doubt:
        return None
    if holding.name != held.name and not holding.share_in(held):
        # A person named the column of the events, so that the proposal has no doubt of it.
        return None
    described = sum(column in theirs for column in ("title", "categories", "created_at", "country"))
    return described + ("title" in theirs), len(table.columns)


def _why_unused(table: LookedAtTable, events: LookedAtTable, said: Said, found: Mapping[str, LookedAtTable]) -> str:
    """Return the reason for which a table is neither the items nor the users, with a remedy where there is one."""
    for name, key in (("items", "item_id"), ("users", "user_id")):
        choices = propose_columns({"events": events.columns, name: table.columns}, said, {"events": events.name})
        theirs = next((c.taken for c in choices if c.table == name and c.column == key), None)
        ours = events.columns.get(_chosen(choices)[key].taken or "")
        held = table.columns.get(theirs or "")
        if held is None or ours is None or ours.share_in(held) < LEAST_HELD:
            continue
        if held.unique and name in found:
            return f"a key of the {name}, `{held.name}`, but `{found[name].name}` describes them better"
        if held.unique:
            return f"`{ours.name}` of the events holds its key `{held.name}`, but no name says that it has {name}"
        file = table.source.files
        # In a shell the query stands in double quotes.
        query = f"SELECT DISTINCT ON ({held.name}) * FROM {sql_text(str(file))}"  # noqa: S608
        return (
            f"`{held.name}` of the {name} names {held.distinct:,} in {held.present:,} rows, and must name each once; "
            f'`--{name} "{query}"` takes one row of each'
        )
    return "no column of it is a key that the events hold"


def _chosen(choices: list[Choice]) -> dict[str, Choice]:
    return {choice.column: choice for choice in choices if choice.table == "events"}


def _tables(directory: Path) -> tuple[list[LookedAtTable], tuple[str, ...]]:
    """Return the tables in a directory, parts of one as one table, and why other files cannot be read."""
    groups: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory).parts
        named = _stem(path) != path.name and not any(part.lower().startswith(_NO_TABLE) for part in inside)
        if path.is_file() and named and len(inside) <= DEPTH:
            groups[path.parent, _PART.sub("#", _stem(path).lower())].append(path)
    tables, unread = [], []
    for paths in groups.values():
        for part in _parts(paths, directory):
            size = sum(path.stat().st_size for path in part.parent.glob(part.name))
            try:
                tables.append(read_raw(TableSource(files=part.absolute()), directory, size))
            except UserError as error:
                unread.append(str(error))
    return tables, tuple(unread)


def _stem(path: Path) -> str:
    """Return the name of a file without the suffixes of a table; the whole name where it has none."""
    bare = path.with_suffix("") if path.suffix.lower() in COMPRESSED_SUFFIXES else path
    return bare.stem if bare.suffix.lower() in _SUFFIXES else path.name


def _parts(paths: list[Path], directory: Path) -> list[Path]:
    """Return the patterns of files with like names: parts of one table may be of several formats."""
    if len({_stem(path) for path in paths}) == len(paths):
        together = _one_table(paths, directory)
        if len(together) == 1:
            return together
    # The same name in two formats is one table written twice.
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        kinds[path.name.removeprefix(_stem(path)).lower()].append(path)
    return [part for of_kind in kinds.values() for part in _one_table(of_kind, directory)]


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
    # The last of each format, and the first.
    some = [paths[0], *{path.suffix: path for path in paths}.values()]
    try:
        columns = [set(raw_table(TableSource(files=path.absolute()), directory, 1).column_names) for path in some]
    except UserError:
        return paths
    return [pattern] if all(names == columns[0] for names in columns) else paths


def _common(names: list[str]) -> str:
    """Return the longest common beginning."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)
