"""Stage `order`: all events of a range of time, in order, and the examples among them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.arrays import MISSING
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.prepare.column_drift import PROFILE, profile
from unified_ranker.prepare.histories_stage import NOBODY
from unified_ranker.prepare.shuffle_stage import names_of
from unified_ranker.prepare.stage_names import HISTORIES_STAGE, SECOND, TABLES_STAGE


@dataclass(frozen=True)
class Order:
    """Makes `events` and `examples` of a range of time, and `profile`, from which drift is computed."""

    check: bool = True

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Merge the ranges of users."""
        rows = reader.gather(HISTORIES_STAGE, "events", shard).combine_chunks()
        user = rows["user"].to_numpy().astype(np.int64)
        # Each range of users is in order, and the sort is stable, so ties of user and time keep their order.
        order = np.lexsort((np.where(user == MISSING, NOBODY, user), rows["time"].to_numpy()))
        rows = rows.take(pa.array(order))
        stamp = pa.array(np.floor_divide(rows["time"].to_numpy(), SECOND))
        positive = pc.greater_equal(rows["head"], 0)
        events = rows.select(["item", "event_type", "value"])
        events = events.append_column("timestamp", stamp).append_column("positive", positive)
        examples = rows.append_column("timestamp", stamp).filter(positive)
        examples = examples.drop_columns(["time", "event_type", "position"])
        tasks, types = names_of(reader)
        created = reader.read(TABLES_STAGE, 0, "keys")["created"]
        empty = PROFILE.empty_table()
        return {
            "events": [events],
            "examples": [examples],
            "profile": [profile(rows, stamp.to_numpy(), created, tasks, types) if self.check else empty],
        }
