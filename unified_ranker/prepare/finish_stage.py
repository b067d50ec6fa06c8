"""Stage `finish`: the bounds of the split, the counts of all stages, and the check of `data.max_bad_share`."""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from unified_ranker.config import Config, Task
from unified_ranker.core.errors import UserError
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.log.check import Check, counted, in_order
from unified_ranker.log.content_checks import DISTINCT, DISTINCT_REMEDY, not_empty
from unified_ranker.log.row_rules import LEFT_OUT, Harm
from unified_ranker.prepare.check_counts import add_up
from unified_ranker.prepare.column_drift import column_drift
from unified_ranker.prepare.log_quality import EventCounts, Extremes, LogQuality
from unified_ranker.prepare.split_times import split_times
from unified_ranker.prepare.stage_names import (
    HISTORIES_STAGE,
    ORDER_STAGE,
    SCAN_STAGE,
    TABLES_STAGE,
    USERS_STAGE,
    LogSource,
    Rules,
)
from unified_ranker.prepare.task_needs import has_positives, head_has_examples, no_events
from unified_ranker.prepare.whole_log_checks import scanned_log_checks, undated_checks
from unified_ranker.reading.read_log import ReadLog


@dataclass(frozen=True)
class Finish:
    """Makes `split` (its bounds in seconds) and `quality` (one row of JSON, see `LogQuality`; null without checks).

    Raises:
        UserError: too many bad rows, or a task or a head without a positive.
    """

    source: LogSource
    rules: Rules

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Add the counts of all shards."""
        checks = checks_of(reader, self.rules) if self.rules.check else []
        checks += task_needs(reader, self.rules.config.tasks, self.source.ranges)
        checks += head_needs(reader, self.rules.config, self.source.ranges) if self.rules.check else []
        checks = [*self.source.read.checks(self.rules.max_bad_share), *checks]
        require_sound(checks, self.rules.max_bad_share, reader, self.source.read)
        times = [reader.read(ORDER_STAGE, s, "examples")["timestamp"].to_numpy() for s in range(self.source.ranges)]
        split = split_times(times, self.rules.config)
        if self.rules.check:
            fit_end = split.fit_end(self.rules.config)
            checks += undated_checks(reader, self.rules.config, self.source.ranges, fit_end)
        quality = json.dumps(self._quality(reader, checks).to_json() if self.rules.check else None)
        return {
            "split": [pa.table({name: [moment] for name, moment in vars(split).items()})],
            "quality": [pa.table({"json": [quality]})],
        }

    def _quality(self, reader: Reader, checks: list[Check]) -> LogQuality:
        quarantined = reader.gather(SCAN_STAGE, "quarantine")["reason"].value_counts().to_pylist()
        counts = reader.gather(HISTORIES_STAGE, "counts")
        users = reader.gather(SCAN_STAGE, "users").group_by("user_id").aggregate([("events", "sum")])
        items = np.concatenate(
            [reader.read(ORDER_STAGE, s, "events")["item"].to_numpy() for s in range(self.source.ranges)]
        )
        of_item = np.bincount(items[items >= 0], minlength=1)
        profiles = [reader.read(ORDER_STAGE, s, "profile") for s in range(self.source.ranges)]
        first, slices = 0, []
        for part in profiles:
            slices.append(part.set_column(0, "slice", pa.array(part["slice"].to_numpy() + first)))
            first += int(part["slice"].to_numpy().max(initial=-1)) + 1
        kept = sum(counts["events"].to_pylist())
        repeated = sum(counts["repeated"].to_pylist())
        read = next((c.total for c in checks if c.name == "events.item_id is present"), kept)
        unread = self.source.read.tables.get("events")
        return LogQuality(
            events=EventCounts(
                read=read + (0 if unread is None else unread.bad),
                kept=kept,
                quarantined=({} if unread is None else unread.reasons)
                | {row["values"]: row["counts"] for row in quarantined},
                repeated=repeated,
                repeated_dropped=self.rules.drop_duplicates,
                out_of_order=_out_of_order(reader, len(self.source.events)),
                positives=sum(counts["positives"].to_pylist()),
            ),
            extremes=Extremes(
                most_events_of_a_user=int(np.max(users["events_sum"].to_numpy(), initial=0)),
                largest_share_of_an_item=round(float(of_item.max() / max(len(items), 1)), 6),
            ),
            checks=tuple(c.line() for c in in_order(checks)),
            drift=tuple(column_drift(pa.concat_tables(slices))),
        )


def checks_of(reader: Reader, rules: Rules) -> list[Check]:
    """Return the checks of all shards, with their counts added."""
    counts = reader.gather(HISTORIES_STAGE, "counts")
    repeated, kept = sum(counts["repeated"].to_pylist()), sum(counts["events"].to_pylist())
    return [
        *add_up(reader.read(TABLES_STAGE, 0, "checks")),
        not_empty("events", kept),
        *add_up(reader.gather(SCAN_STAGE, "checks")),
        Check(DISTINCT, not repeated, repeated, (), DISTINCT_REMEDY, "warning", kept + repeated, harm=Harm.MISREAD),
        *scanned_log_checks(reader),
    ]


def require_sound(checks: list[Check], most: float, reader: Reader, read: ReadLog) -> None:
    """Raise `UserError` when more than the share `most` of the events is bad, or another check failed.

    Bad are the rows that the reading of the tables has quarantined, too.
    """
    of_rows = [c for c in checks if c.failed and c.total and c.name.startswith("events.")]
    others = [c for c in checks if c.failed and c not in of_rows]
    quarantined = reader.gather(SCAN_STAGE, "quarantine")
    reasons = quarantined["reason"].value_counts().to_pylist()
    bad = sum(row["counts"] for row in reasons if row["values"] not in LEFT_OUT)
    total = max((c.total for c in of_rows), default=0)
    if total and "events" in read.tables:
        total, bad = max(total, read.tables["events"].rows), bad + read.tables["events"].bad
    lines = [c.line() for c in others]
    if total and bad / total > most:
        lines += [c.line() for c in of_rows]
        lines.append(
            f"`project.yaml`, `data.max_bad_share`: at most {most:.3g} of the events may be bad. Received: {bad:,} of "
            f"{total:,}. Correct the rows, or raise the share: bad rows are then quarantined and counted."
        )
    if lines:
        raise UserError("\n".join(lines))


def task_needs(reader: Reader, tasks: dict[str, Task], ranges: int) -> list[Check]:
    """Return the checks that every task has events, and positives among them."""
    names = reader.read(USERS_STAGE, 0, "names").to_pandas()
    of_log = names.groupby("task")["events"].sum().sort_values(ascending=False)
    numbers = sorted(names["task"].unique())
    seen = _of_examples(reader, "task", ranges)
    checks = []
    for name, task in tasks.items():
        if name not in numbers:
            checks.append(no_events(name, of_log))
            continue
        counts = names[names["task"] == name].set_index("event_type")["events"].sort_values(ascending=False)
        types = [str(kind) for kind in counts.index]
        checks.append(has_positives(name, task, numbers.index(name) in seen, types, counted(counts)))
    return checks


def head_needs(reader: Reader, config: Config, ranges: int) -> list[Check]:
    """Return the checks that every head of the tasks' positives has examples."""
    seen = _of_examples(reader, "head", ranges)
    by_head = {head: [name for name, task in config.tasks.items() if head in task.heads] for head in config.event_heads}
    return [head_has_examples(head, config.heads.index(head) in seen, tasks) for head, tasks in by_head.items()]


def _of_examples(reader: Reader, column: str, ranges: int) -> set[int]:
    """Return the numbers that occur in a column of the examples."""
    return {n for s in range(ranges) for n in reader.read(ORDER_STAGE, s, "examples")[column].unique().to_pylist()}


def _out_of_order(reader: Reader, splits: int) -> int:
    """Count the events that are earlier than one before them in the files."""
    latest, count = np.iinfo(np.int64).min, 0
    for shard in range(splits):
        time = reader.read(SCAN_STAGE, shard, "events")["time"].to_numpy()
        if len(time):
            before = np.maximum.accumulate(np.concatenate([[latest], time]))
            count += int((time < before[:-1]).sum())
            latest = before[-1]
    return count
