"""Events of a running service as a table for the next training, without those that the warehouse's log has already."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.files import whole_file
from unified_ranker.core.times import MICROSECONDS, seconds
from unified_ranker.events.base import EventLog
from unified_ranker.log.schema import LOG_COLUMNS, Problem, canonical
from unified_ranker.prepare.table_splits import plan_splits, read_split

_ACT = ["user_id", "item_id", "task", "event_type", "second"]
_REST = ["query", "source_item_id", "country", "request_id", "position"]
"""Columns that must not differ in one event. Not the value, which a warehouse may round."""
_ID = ["user_id", "event_id"]
_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("user_id", "item_id", "task", "event_type"), pa.string()),
        "timestamp": pa.timestamp("us", "UTC"),
        **dict.fromkeys(("query", "source_item_id", "country"), pa.string()),
        "value": pa.float32(),
        "request_id": pa.string(),
        "position": pa.int64(),
        "event_id": pa.string(),
    }
)


@dataclass(frozen=True)
class ExportedEvents:
    """Numbers of an export: events of the service, those that the other log has already, and those written."""

    read: int
    known: int

    @property
    def written(self) -> int:
        """Number of events in the table."""
        return self.read - self.known


def export_events(log: EventLog, target: Path, without: Path | None = None) -> ExportedEvents:
    """Write the events of a service's log to a Parquet file in the form of the interaction log.

    Args:
        log: of the service.
        target: the file; it is replaced as a whole.
        without: events table of the warehouse, whose events are left out, so that each counts once. Two events are one
            if they have one `event_id` of one user. Without ids, the same user did the same to the same item on the
            same surface in the same second, and no other field differs where both have it. Events that a table has
            several times are left out as often.

    Raises:
        UserError: the events of `without` cannot be read, or the file cannot be written.
        StoreError: the store cannot be reached.
    """
    table = pa.concat_tables([_SCHEMA.empty_table(), *_tables(log)])
    left = _identity(table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get))
    if without is not None and len(left):
        for other in _identities(without, int(left["second"].min()), int(left["second"].max())):
            left = _without(left, other)
    with whole_file(target) as draft:
        pq.write_table(table.take(pa.array(left.index, pa.int64())), draft)
    return ExportedEvents(len(table), len(table) - len(left))


def _tables(log: EventLog) -> Iterator[pa.Table]:
    position = ""
    while found := log.since(position):
        position = found[-1][0]
        yield _table(event for _, event in found)


def _table(events: Iterable[Event]) -> pa.Table:
    """Return events as rows; text that is absent is null."""
    rows = [
        {name: None if value == "" else value for name, value in asdict(event).items()}
        | {"timestamp": event.timestamp * MICROSECONDS + event.microsecond}
        for event in events
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def _identities(source: Path, first: int, last: int) -> Iterator[pd.DataFrame]:
    """Yield the identities of a table's events between two times, both inclusive, split by split."""
    for split in plan_splits(source):
        for part in read_split(split):
            problems: list[Problem] = []
            events = canonical("events", part.table, problems)
            if problems:
                raise UserError("\n".join(f"`{source}`: {problem}" for problem in problems))
            identity = _identity(events[[*LOG_COLUMNS["events"]]])
            yield identity[identity["second"].between(first, last)]


def _identity(events: pd.DataFrame) -> pd.DataFrame:
    """Return the columns by which events are compared as text, with "" for null, and their `second`, `[events]`."""
    names = [*dict.fromkeys([*_ACT, *_REST, *_ID])]
    given = events[[name for name in names if name != "second"]].astype("str")
    out = given.where(events[given.columns].notna(), "")
    return out.assign(second=seconds(events["timestamp"].dt.tz_convert(None)))[names]


def _without(events: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the events that are not among others, each of which stands for one; both as by `_identity`."""
    named, others_named = events["event_id"] != "", others["event_id"] != ""
    by_id = [pd.MultiIndex.from_frame(part[_ID]) for part in (events, others)]
    events = events[~(named & by_id[0].isin(by_id[1]))]
    others = others[~(others_named & by_id[1].isin(by_id[0]))]
    # The usual case, in pandas: they agree in all that the others have.
    common = [name for name in (*_REST, "event_id") if (others[name] != "").any()]
    found, found_others = _pairs(events, others, [*_ACT, *common])
    return _without_alike(events[~found], others[~found_others])


def _pairs(events: pd.DataFrame, others: pd.DataFrame, key: Sequence[str]) -> tuple[pd.Series, pd.Series]:
    """Return which rows of two tables have one in the other table with an equal key, each row for one."""
    numbered = [part[[*key]].assign(number=part.groupby([*key]).cumcount()) for part in (events, others)]
    index = [pd.MultiIndex.from_frame(part) for part in numbered]
    return pd.Series(index[0].isin(index[1]), events.index), pd.Series(index[1].isin(index[0]), others.index)


def _without_alike(events: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the events that differ from each of the others in the act, or in a field that both have."""
    acts = pd.MultiIndex.from_frame(events[_ACT])
    others = others[pd.MultiIndex.from_frame(others[_ACT]).isin(acts)]
    waiting: defaultdict[tuple[object, ...], list[tuple[str, ...]]] = defaultdict(list)
    rest = [*_REST, "event_id"]
    for act, fields in zip(_tuples(others, _ACT), _tuples(others, rest), strict=True):
        waiting[act].append(fields)
    left = []
    for row, act, fields in zip(events.index, acts, _tuples(events, rest), strict=True):
        alike = [
            o for o in waiting.get(act, ()) if all(a == b or not a or not b for a, b in zip(fields, o, strict=True))
        ]
        if alike:
            waiting[act].remove(max(alike, key=lambda o: sum(a == b for a, b in zip(fields, o, strict=True))))
        else:
            left.append(row)
    return events.loc[left]


def _tuples(table: pd.DataFrame, names: list[str]) -> Iterable[tuple[str, ...]]:
    return table[names].itertuples(index=False, name=None)
