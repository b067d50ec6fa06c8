"""Events of a running service as a table for the next training, without those that the warehouse's log has already."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.files import whole_file
from unified_ranker.core.times import seconds
from unified_ranker.events.base import EventLog
from unified_ranker.log.schema import LOG_COLUMNS, Problem, canonical
from unified_ranker.prepare.table_splits import plan_splits, read_split

IDENTITY = ["user_id", "item_id", "task", "event_type", "second", "anonymous_request"]
"""What makes two events one: the user did the same to the same item on the same surface in the same second.

Anonymous events are one only if their request is, too. Other fields may be spelt otherwise in a warehouse, such as a
value that was rounded.
"""
_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("user_id", "item_id", "task", "event_type"), pa.string()),
        "timestamp": pa.timestamp("us", "UTC"),
        **dict.fromkeys(("query", "source_item_id", "country"), pa.string()),
        "value": pa.float32(),
        "request_id": pa.string(),
        "position": pa.int64(),
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
        without: events table of the warehouse, whose events are left out, so that each counts once.

    Raises:
        UserError: the events of `without` cannot be read, or the file cannot be written.
        StoreError: the store cannot be reached.
    """
    table = pa.concat_tables([_SCHEMA.empty_table(), *_tables(log)])
    live = _identity(table.to_pandas())
    known = pd.Series(False, index=live.index)
    if without is not None and len(live):
        for other in _identities(without, int(live["second"].min()), int(live["second"].max())):
            known |= pd.MultiIndex.from_frame(live).isin(pd.MultiIndex.from_frame(other))
    with whole_file(target) as draft:
        pq.write_table(table.filter(pa.array(~known)), draft)
    return ExportedEvents(len(table), int(known.sum()))


def _tables(log: EventLog) -> Iterator[pa.Table]:
    position = ""
    while found := log.since(position):
        position = found[-1][0]
        yield _table(event for _, event in found)


def _table(events: Iterable[Event]) -> pa.Table:
    """Return events as rows; text that is absent is null."""
    rows = [
        {name: None if value == "" else value for name, value in asdict(event).items()}
        | {"timestamp": event.timestamp * 1_000_000}
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
    """Return the columns of `IDENTITY` `[events]`, with "" for null."""
    user = events["user_id"].astype("str").where(events["user_id"].notna(), "")
    request = events["request_id"].astype("str").where(events["request_id"].notna(), "")
    out = events[["item_id", "task", "event_type"]].astype("str")
    second = seconds(events["timestamp"].dt.tz_convert(None))
    return out.assign(user_id=user, second=second, anonymous_request=request.where(user == "", ""))[IDENTITY]
