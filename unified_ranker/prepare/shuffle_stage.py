"""Stage `shuffle`: looks up users and names, and sends every event to the range of its user."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.log.row_rules import positions
from unified_ranker.prepare.stage_names import SCAN_STAGE, SHUFFLED_EVENTS, USERS_STAGE


@dataclass(frozen=True)
class Shuffle:
    """Makes `events` (`SHUFFLED_EVENTS`), a partition for each range of users."""

    ranges: int

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Sort the events of a split by range."""
        events = reader.read(SCAN_STAGE, shard, "events")
        user = positions(events["user_id"], reader.read(USERS_STAGE, 0, "ids")["user_id"])
        tasks, types = names_of(reader)
        columns = {
            **{name: events[name] for name in events.column_names},
            "user": pa.array(user, pa.int32()),
            "task": pc.index_in(events["task"], value_set=pa.array(tasks, pa.string())).cast(pa.int16()),
            "event_type": pc.index_in(events["event_type"], value_set=pa.array(types, pa.string())).cast(pa.int16()),
        }
        table = pa.table([columns[f.name] for f in SHUFFLED_EVENTS], schema=SHUFFLED_EVENTS)
        first = reader.read(USERS_STAGE, 0, "ranges")["first_user"].to_numpy()
        # Anonymous events have no history. They are sent by time, so that equal ones come into one range.
        anonymous = np.abs(events["time"].to_numpy()) % self.ranges
        part = np.where(user < 0, anonymous, np.searchsorted(first, user, side="right") - 1)
        return {"events": partition(table, part, self.ranges)}


def names_of(reader: Reader) -> tuple[list[str], list[str]]:
    """Return the names of tasks and of event types, in order of their numbers."""
    names = reader.read(USERS_STAGE, 0, "names")
    return tuple(sorted(set(names[column].to_pylist())) for column in ("task", "event_type"))  # type: ignore[return-value]


def partition(table: pa.Table, part: np.ndarray, parts: int) -> list[pa.Table]:
    """Return the rows of each part, in their order."""
    if parts == 1:
        return [table]
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(parts + 1))
    ordered = table.take(pa.array(order))
    return [ordered.slice(int(a), int(b - a)) for a, b in pairwise(bounds)]
