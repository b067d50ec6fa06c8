"""Events of a log that `init` looks at: all of them, or those of some users where they are too many for memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.log.parquet_files import open_parquet, own_columns
from unified_ranker.log.quarantine import EVENT_FILE, EVENT_ROW
from unified_ranker.log.schema import SESSION
from unified_ranker.log.table_files import parquet_table, table_files
from unified_ranker.project.init.inspect_events import EventFindings, EventKind
from unified_ranker.project.log_files import LogTables, Tables, loaded
from unified_ranker.reading.duck import connected, quoted, says, sql_text

MOST_INSPECTED = 2_000_000
"""Most events that are looked at one by one, which takes 2 GiB."""
_RARE = 200
"""Events of a kind that are looked at, whoever's they are: a rare kind must not be missed."""
_BUCKETS = 1 << 20


@dataclass(frozen=True)
class WholeLog:
    """Counts of a log of which a part was looked at.

    Attributes:
        events: with a task, an event type and a time.
        users: distinct users.
        kinds: events and distinct users of each kind, by task and event type.
    """

    events: int
    users: int
    kinds: Mapping[tuple[str, str], tuple[int, int]]

    def of(self, found: EventFindings) -> EventFindings:
        """Return findings about a part with counts of the whole log; what was only counted in the part is scaled."""
        factor = self.events / max(found.events, 1)
        surfaces = []
        for surface in found.surfaces:
            kinds = tuple(self._of(surface.task, kind) for kind in surface.kinds)
            surfaces.append(replace(surface, kinds=kinds, events=sum(kind.events for kind in kinds)))
        signals = tuple(
            replace(k, events=round(k.events * factor), users=round(k.users * factor)) for k in found.signals
        )
        return replace(
            found,
            surfaces=tuple(surfaces),
            signals=signals,
            events=self.events,
            users=self.users,
            positives=round(found.positives * factor),
        )

    def _of(self, task: str, kind: EventKind) -> EventKind:
        events, users = self.kinds.get((task, kind.event_type), (kind.events, kind.users))
        return replace(kind, events=events, users=users)


def inspected_part(found: LogTables, most: int = MOST_INSPECTED) -> tuple[Tables, WholeLog | None]:
    """Return the tables to look at, and the counts of the whole log where they hold a part of its events.

    A part holds all events of some users, drawn by a hash of their ids, so that histories are whole; and all events of
    rare kinds.

    Args:
        found: the files of the tables.
        most: the most events, about.
    """
    files = table_files(found.events)
    rows = sum(open_parquet(file).metadata.num_rows for file in files)
    if rows <= most:
        return loaded(found), None
    events, whole = _part(files, most / rows)
    users = None if found.users is None else parquet_table(found.users)
    return Tables(events, parquet_table(found.items), users), whole


def _part(files: list[Path], share: float) -> tuple[pa.Table, WholeLog]:
    import duckdb

    names = [field.name for field in own_columns(open_parquet(files[0]).schema_arrow)]
    columns = ", ".join(quoted(name) for name in names if name not in (EVENT_FILE, EVENT_ROW))
    source = f"read_parquet([{', '.join(sql_text(str(file)) for file in files)}])"
    owners = [f"{name}::VARCHAR" for name in ("user_id", SESSION) if name in names]
    owner = f"coalesce({', '.join([*owners, 'item_id::VARCHAR || timestamp::VARCHAR'])})"
    task, kind = ("trim(task::VARCHAR)", "trim(event_type::VARCHAR)")
    # Names of columns and files are quoted.
    counts = (
        f"SELECT {task}, {kind}, count(*), count(DISTINCT user_id) FROM {source} "  # noqa: S608
        "WHERE task IS NOT NULL AND event_type IS NOT NULL AND timestamp IS NOT NULL GROUP BY ALL"
    )
    with connected() as connection:
        try:
            kinds = {(row[0], row[1]): (row[2], row[3]) for row in connection.sql(counts).fetchall()}
            users = connection.sql(f"SELECT count(DISTINCT user_id) FROM {source}").fetchall()[0][0]  # noqa: S608
            rare = [f"({sql_text(t)}, {sql_text(k)})" for (t, k), (n, _) in kinds.items() if n * share < _RARE]
            besides = f" OR ({task}, {kind}) IN ({', '.join(rare)})" if rare else ""
            drawn = f"hash({owner}) % {_BUCKETS} < {round(share * _BUCKETS)}{besides}"
            events = connection.sql(f"SELECT {columns} FROM {source} WHERE {drawn}").to_arrow_table()  # noqa: S608
        except duckdb.Error as error:
            raise UserError(f"the events cannot be counted: {says(error)}. Write their files again.") from error
    return events, WholeLog(sum(n for n, _ in kinds.values()), users, kinds)
