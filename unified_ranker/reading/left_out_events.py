"""Events that declarations leave out: those of types of no item, and those outside of a time."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.config import TablesSource
from unified_ranker.core.arrays import Ints, Mask
from unified_ranker.log.column_types import as_mask
from unified_ranker.reading.column_plan import TablePlan
from unified_ranker.reading.column_values import Readings, column_values
from unified_ranker.reading.raw_rows import RawRows


class LeftOutEvents:
    """Events that are left out of a log while it is read.

    Attributes:
        counts: number of events by the reason.
    """

    def __init__(self, plan: TablePlan, data: TablesSource, readings: Readings) -> None:
        self._plan, self._readings = plan, readings
        self._types = pa.array(data.without_item, pa.large_string())
        self._bounds: dict[str, datetime] = {
            f"they lie {side} {bound:%Y-%m-%d %H:%M:%S}": bound
            for side, bound in (("before", data.earliest), ("after", data.latest))
            if bound is not None
        }
        self.counts: Counter[str] = Counter()

    def by_type(self, rows: RawRows) -> RawRows:
        """Return rows without those of types of no item, whatever else they hold."""
        planned = next((column for column in self._plan.columns if column.name == "event_type"), None)
        if not len(self._types) or planned is None:
            return rows
        types = column_values(self._plan.table, planned, rows.table, self._readings)[0].cast(pa.large_string())
        for found in types.filter(pc.is_in(types, value_set=self._types)).value_counts().to_pylist():
            self.counts[f"`{found['values']}` is of no item (`without_item`)"] += found["counts"]
        keep = ~as_mask(pc.is_in(types, value_set=self._types))
        return replace(rows, table=rows.table.filter(pa.array(keep)), numbers=rows.numbers[keep])

    def by_time(self, values: dict[str, pa.Array], kept: Ints) -> tuple[dict[str, pa.Array], Ints]:
        """Return the values of rows, by column, and their numbers `[rows]`, without those outside of the time."""
        if not self._bounds:
            return values, kept
        keep = np.ones(len(kept), bool)
        for reason, bound in self._bounds.items():
            beyond = pc.less if "before" in reason else pc.greater
            out: Mask = as_mask(pc.fill_null(beyond(values["timestamp"], pa.scalar(bound)), False))
            self.counts[reason] += int((out & keep).sum())
            keep &= ~out
        return {name: column.filter(pa.array(keep)) for name, column in values.items()}, kept[keep]

    @property
    def notes(self) -> list[str]:
        """Lines that say how many events are left out."""
        return [f"events that are left out, because {reason}: {n:,}" for reason, n in self.counts.items() if n]
