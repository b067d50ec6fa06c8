"""Names of the stages' outputs and columns, and the rules that the stages share."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.prepare.table_splits import TableSplit
from unified_ranker.reading.read_log import ReadLog

TABLES_STAGE, SCAN_STAGE, USERS_STAGE, SHUFFLE_STAGE, HISTORIES_STAGE, ORDER_STAGE, FINISH_STAGE = (
    "tables", "scan", "users", "shuffle", "histories", "order", "finish",
)  # fmt: skip
SECOND = 1_000_000
"""One second in microseconds."""
MOST_RANGES = 1024

CLEAN_EVENTS = pa.schema(
    {
        "user_id": pa.string(),
        "item": pa.int32(),
        "source_item": pa.int32(),
        "query_item": pa.int32(),
        "task": pa.string(),
        "event_type": pa.string(),
        "time": pa.int64(),
        "value": pa.float32(),
        "query": pa.string(),
        "country": pa.string(),
        "request_id": pa.string(),
        "position": pa.int64(),
        "event_id": pa.string(),
        "derived": pa.bool_(),
    }
)
"""An event after `scan`: items are indices (-1 = none), `time` in microseconds."""
SHUFFLED_EVENTS = pa.schema(
    [
        pa.field("user", pa.int32()),
        *(f for f in CLEAN_EVENTS if f.name not in ("user_id", "task", "event_type")),
        pa.field("task", pa.int16()),
        pa.field("event_type", pa.int16()),
    ]
)
"""An event after `shuffle`: users, tasks and event types are numbers, too."""
CHECKS = pa.schema(
    {
        "rule": pa.string(),
        "passed": pa.bool_(),
        "bad": pa.int64(),
        "total": pa.int64(),
        "found": pa.string(),
        "what_to_do": pa.string(),
        "severity": pa.string(),
        "harm": pa.int64(),
        "examples": pa.string(),
    }
)


@dataclass(frozen=True)
class LogSource:
    """Source of the log: splits of the events, and the two other tables.

    Attributes:
        events: the splits of the events table.
        items: files or table of the items.
        users: files or table of the users; None derives it from the events.
        known_items: Parquet file of an earlier release with the item ids in order, which keep their indices.
        known_users: likewise for users.
        range_rows: approximate number of events in one range of users or of time.
        read: the log of the reading that made the tables; empty where they are used as they lie.
    """

    events: tuple[TableSplit, ...]
    items: Path | pa.Table
    users: Path | pa.Table | None
    known_items: Path | None = None
    known_users: Path | None = None
    range_rows: int = 1_000_000
    read: ReadLog = field(default_factory=ReadLog)

    @property
    def rows(self) -> int:
        """Number of events as the files' footers give it, which CSV files lack."""
        return sum(piece.rows for split in self.events for piece in split)

    @property
    def ranges(self) -> int:
        """Number of ranges of users, and of time, that the events are sorted into."""
        return max(1, min(-(-self.rows // self.range_rows), MOST_RANGES))


@dataclass(frozen=True)
class Rules:
    """Rules that hold for every row.

    Attributes:
        config: the declarations.
        now: the present; later events are in the future.
        check: whether rows are checked, bad ones quarantined and drift measured; otherwise the log is taken as it is.
    """

    config: Config
    now: datetime
    check: bool = True

    @property
    def max_bad_share(self) -> float:
        """Greatest share of bad events; with more the job stops."""
        return self.config.project.data.max_bad_share

    @property
    def drop_duplicates(self) -> bool:
        """True if repeated events count once."""
        return self.config.project.data.drop_duplicates
