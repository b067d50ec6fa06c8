"""Stage `scan`: reads a split of the events, quarantines bad rows, and looks up items."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.errors import UserError
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.log.check import Check
from unified_ranker.log.column_types import MAX_EXAMPLES, decoded, one_array
from unified_ranker.log.quarantine import QUARANTINE
from unified_ranker.log.row_rules import EVENT_KEYS, Broken, Known, event_rules
from unified_ranker.log.schema import LOG_COLUMNS, Problem, canonical
from unified_ranker.log.table_checks import absence_checks
from unified_ranker.prepare.check_counts import to_rows
from unified_ranker.prepare.stage_names import CLEAN_EVENTS, TABLES_STAGE, LogSource, Rules
from unified_ranker.prepare.table_splits import SplitPart, read_split

SAMPLED_TIMES = 512
SAMPLED_ROWS = 20_000


@dataclass(frozen=True)
class Scan:
    """Makes `events` (`CLEAN_EVENTS`), `users`, `items`, `names`, `times`, `quarantine`, `checks` and `sample`."""

    source: LogSource
    rules: Rules

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Read the split."""
        keys = reader.read(TABLES_STAGE, 0, "keys")
        users = None if self.source.users is None else reader.read(TABLES_STAGE, 0, "users")["user_id"]
        known = Known(
            one_array(keys["item_id"]), one_array(keys["created"]), None if users is None else one_array(users)
        )
        read = read_split(self.source.events[shard])
        events = pa.concat_tables([self._canonical(part) for part in read]).combine_chunks()
        indices = known.indices(events)
        broken: list[Broken] = []
        if self.rules.check:
            broken = [*_not_finite([part.table for part in read]), *event_rules(events, known, self.rules.now, indices)]
        words = [c for part in read for c in absence_checks("events", part.table)] if self.rules.check else []
        checks = to_rows([*words, *(_check(b, events) for b in broken)])
        keep = np.ones(len(events), bool)
        bad = [b for b in broken if b.quarantined and b.bad.any()]
        quarantined = [QUARANTINE.empty_table(), *(_quarantined(b, events, keep, read) for b in bad)]
        if not keep.all():
            events = events.filter(pa.array(keep))
            indices = {name: index[keep] for name, index in indices.items()}
        whole = _clean(events, indices)
        return {
            "events": [whole],
            "users": [_counted(whole["user_id"], "user_id")],
            "items": [_items(whole)],
            "names": [_names(whole)],
            "times": [_times(whole)],
            "quarantine": [pa.concat_tables(quarantined)],
            "checks": [checks],
            "sample": [_sample(events, SAMPLED_ROWS // max(len(self.source.events), 1) + 1)],
        }

    @staticmethod
    def _canonical(part: SplitPart) -> pa.Table:
        problems: list[Problem] = []
        frame = canonical("events", part.table, problems)
        if problems:
            where = f"`{part.file}`: " if part.file else ""
            raise UserError("\n".join(f"{where}{problem}" for problem in problems))
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _clean(events: pa.Table, indices: dict[str, npt.NDArray[np.int64]]) -> pa.Table:
    columns = {
        **{name: events[name] for name in events.column_names},
        "item": indices["item_id"],
        "source_item": indices["source_item_id"],
        "query_item": indices["query_item_id"],
        "time": events["timestamp"].cast(pa.timestamp("us")).cast(pa.int64()),
        "value": pc.if_else(pc.is_nan(events["value"]), pa.scalar(None, pa.float32()), events["value"]),
    }
    arrays = [
        c.cast(f.type) if isinstance(c, pa.ChunkedArray) else pa.chunked_array([pa.array(c).cast(f.type)])
        for f, c in ((f, columns[f.name]) for f in CLEAN_EVENTS)
    ]
    return pa.table(arrays, schema=CLEAN_EVENTS)


def _not_finite(tables: list[pa.Table]) -> list[Broken]:
    """Find NaN and infinity among the numbers as they were read; in canonical form NaN and null are the same."""
    found: dict[str, list[npt.NDArray[np.bool_]]] = {}
    for number, raw in enumerate(tables):
        for name in raw.column_names:
            column = decoded(raw[name])
            if name in LOG_COLUMNS["events"] and pt.is_floating(column.type):
                odd = pc.fill_null(pc.invert(pc.is_finite(column)), False).combine_chunks()
                parts = found.setdefault(name, [np.zeros(len(t), bool) for t in tables])
                parts[number] = np.asarray(odd.to_numpy(zero_copy_only=False), bool)
    remedy = "write null where there is no number, and find out where NaN or infinity comes from"
    return [
        Broken(f"events.{name} is finite or null", np.concatenate(parts), (*EVENT_KEYS, name), remedy)
        for name, parts in found.items()
    ]


def _check(broken: Broken, events: pa.Table) -> Check:
    count = int(broken.bad.sum())
    rows = np.flatnonzero(broken.bad)[:MAX_EXAMPLES]
    shown = [c for c in broken.columns if c in events.column_names]
    examples = tuple({c: str(events[c][int(r)].as_py()) for c in shown if events[c][int(r)].is_valid} for r in rows)
    remedy, severity = broken.what_to_do, broken.severity
    return Check(broken.rule, not count, count, examples, remedy, severity, len(events), harm=broken.harm)


def _quarantined(broken: Broken, events: pa.Table, keep: npt.NDArray[np.bool_], read: Sequence[SplitPart]) -> pa.Table:
    """Return the rows that break a rule, and remove them from `keep`; only a row's first reason counts."""
    rows = np.flatnonzero(broken.bad & keep)
    keep[rows] = False
    taken = events.take(pa.array(rows))
    first = np.concatenate([[0], np.cumsum([len(part.table) for part in read])])
    which = np.searchsorted(first, rows, side="right") - 1
    found = [read[n].origin_of(int(row - first[n])) for n, row in zip(which, rows, strict=True)]
    columns = {
        "reason": pa.array([broken.rule] * len(rows), pa.string()),
        "file": pa.array([origin[0] for origin in found], pa.string()),
        "row_group": pa.array([origin[1] for origin in found], pa.int64()),
        "row": pa.array([origin[2] for origin in found], pa.int64()),
        "line": pa.nulls(len(rows), pa.string()),
        **{name: taken[name].cast(pa.string()) for name in LOG_COLUMNS["events"]},
    }
    return pa.table([columns[f.name] for f in QUARANTINE], schema=QUARANTINE)


def _counted(column: pa.ChunkedArray, name: str) -> pa.Table:
    coded = column.combine_chunks().dictionary_encode()
    codes = coded.indices.drop_null().to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(coded.dictionary))
    return pa.table({name: coded.dictionary.cast(pa.string()), "events": pa.array(counts, pa.int64())})


def _items(events: pa.Table) -> pa.Table:
    """Count the events of items, with the time of the first: `item`, `events`, `first` (microseconds)."""
    known = events.filter(pc.greater_equal(events["item"], 0))
    grouped = known.group_by("item").aggregate([([], "count_all"), ("time", "min")])
    return grouped.select(["item", "count_all", "time_min"]).rename_columns(["item", "events", "first"])


def _names(events: pa.Table) -> pa.Table:
    """Count tasks and event types together: `task`, `event_type`, `events`, `valued` (those with a value)."""
    grouped = events.group_by(["task", "event_type"]).aggregate([([], "count_all"), ("value", "count")])
    return grouped.select(["task", "event_type", "count_all", "value_count"]).rename_columns(
        ["task", "event_type", "events", "valued"]
    )


def _times(events: pa.Table) -> pa.Table:
    """Return evenly spaced quantiles of the times, and the number of rows that each stands for."""
    time = np.sort(events["time"].to_numpy())
    at = np.unique(np.linspace(0, max(len(time) - 1, 0), min(SAMPLED_TIMES, len(time))).astype(np.int64))
    picked = time[at]
    weight = np.full(len(picked), len(time) / max(len(picked), 1))
    return pa.table({"time": pa.array(picked, pa.int64()), "weight": pa.array(weight, pa.float64())})


def _sample(events: pa.Table, rows: int) -> pa.Table:
    """Return about `rows` evenly spaced rows of a table, and the first row of each task with each event type."""
    if len(events) <= rows:
        return events
    numbered = events.select(["task", "event_type"]).append_column("row", pa.array(np.arange(len(events))))
    firsts = numbered.group_by(["task", "event_type"]).aggregate([("row", "min")])["row_min"].to_numpy()
    at = np.union1d(np.linspace(0, len(events) - 1, rows).astype(np.int64), firsts)
    return events.take(pa.array(at))
