"""Job that prepares a log: its stages in order."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.core.digests import short_digest
from unified_ranker.engines.job import Job, Stage
from unified_ranker.prepare.finish_stage import Finish
from unified_ranker.prepare.histories_stage import BuildHistories
from unified_ranker.prepare.order_stage import Order
from unified_ranker.prepare.scan_stage import Scan
from unified_ranker.prepare.shuffle_stage import Shuffle
from unified_ranker.prepare.stage_names import (
    FINISH_STAGE,
    HISTORIES_STAGE,
    ORDER_STAGE,
    SCAN_STAGE,
    SHUFFLE_STAGE,
    TABLES_STAGE,
    USERS_STAGE,
    LogSource,
    Rules,
)
from unified_ranker.prepare.table_splits import SPLIT_ROWS, plan_splits
from unified_ranker.prepare.tables_stage import ReadTables
from unified_ranker.prepare.users_stage import NumberUsers


def plan_source(
    events: Path | pa.Table, items: Path | pa.Table, users: Path | pa.Table | None, rows: int = SPLIT_ROWS
) -> LogSource:
    """Cut the events into splits, and later into ranges, of about `rows`.

    Raises:
        UserError: a file is missing or damaged, or has other columns or types than the others.
    """
    return LogSource(tuple(plan_splits(events, rows)), items, users, range_rows=rows)


def prepare_job(
    source: LogSource, config: Config, key: str = "", now: datetime | None = None, check: bool = True
) -> Job:
    """Return the job that prepares a log.

    Args:
        source: the log.
        config: the declarations.
        key: digest of all that the output depends on; shards of another key are not reused.
        now: the present, for the check of events in the future; None: the clock's.
        check: whether to check the rows and quarantine bad ones; False for a log that was checked before.
    """
    rules = Rules(config, now or datetime.now(UTC), check)
    splits, ranges = len(source.events), source.ranges
    return Job(
        key=short_digest(key),
        stages=(
            Stage(TABLES_STAGE, 1, ReadTables(source, rules)),
            Stage(SCAN_STAGE, splits, Scan(source, rules)),
            Stage(USERS_STAGE, 1, NumberUsers(source)),
            Stage(SHUFFLE_STAGE, splits, Shuffle(ranges)),
            Stage(HISTORIES_STAGE, ranges, BuildHistories(rules, ranges)),
            Stage(ORDER_STAGE, ranges, Order(check)),
            Stage(FINISH_STAGE, 1, Finish(source, rules)),
        ),
    )
