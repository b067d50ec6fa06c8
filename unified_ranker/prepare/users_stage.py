"""Stage `users`: gives every user an index, and plans the ranges of users and of time for sorting the events."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.log.row_rules import positions
from unified_ranker.prepare.stage_names import SCAN_STAGE, TABLES_STAGE, LogSource


@dataclass(frozen=True)
class NumberUsers:
    """Makes `users` (profiles by index), `ids`, `ranges` (first user, first time of each) and `names`."""

    source: LogSource

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Merge the users of all splits."""
        seen = reader.gather(SCAN_STAGE, "users").group_by("user_id").aggregate([("events", "sum")])
        profiles = reader.read(TABLES_STAGE, 0, "users").to_pandas()
        ids = self._ids(seen["user_id"].to_pandas(), profiles["user_id"])
        users = profiles.set_index("user_id").reindex(pd.Index(ids, name="user_id")).reset_index()
        counts = np.zeros(len(ids), np.int64)
        counts[positions(seen["user_id"], pa.array(ids, pa.string()))] = seen["events_sum"].to_numpy()
        ranges = self.source.ranges
        names = reader.gather(SCAN_STAGE, "names")
        grouped = names.group_by(["task", "event_type"]).aggregate([("events", "sum"), ("valued", "sum")])
        return {
            "users": [pa.Table.from_pandas(users, preserve_index=False)],
            "ids": [pa.table({"user_id": pa.array(ids, pa.string())})],
            "ranges": [
                pa.table(
                    {
                        "first_user": _even(counts, ranges),
                        "first_time": _quantiles(reader.gather(SCAN_STAGE, "times"), ranges),
                    }
                )
            ],
            "names": [grouped.rename_columns(["task", "event_type", "events", "valued"]).sort_by(
                [("task", "ascending"), ("event_type", "ascending")]
            )],
        }  # fmt: skip

    def _ids(self, seen: pd.Series, declared: pd.Series) -> npt.NDArray[np.object_]:
        """Return all users by id; those of an earlier release keep their indices, before all others."""
        every = pd.concat([declared, seen]).drop_duplicates().sort_values()
        if self.source.known_users is None:
            return every.to_numpy(object)
        known = pq.read_table(self.source.known_users, columns=["user_id"])["user_id"].to_pandas()
        # A user of the release who is not in this log keeps the index, and has no events.
        return np.concatenate([known.to_numpy(object), every[~every.isin(known)].to_numpy(object)])


def _even(counts: npt.NDArray[np.int64], ranges: int) -> npt.NDArray[np.int64]:
    """Return the first user of each range, so that ranges hold about equally many events."""
    sums = np.cumsum(counts)
    total = int(sums[-1]) if len(sums) else 0
    first = np.searchsorted(sums, np.arange(ranges) * total / ranges, side="right")
    first[0] = 0
    return first.astype(np.int64)


def _quantiles(times: pa.Table, ranges: int) -> npt.NDArray[np.int64]:
    """Return the first moment (microseconds) of each range of time, from weighted samples."""
    time = times["time"].to_numpy()
    order = np.argsort(time, kind="stable")
    time, sums = time[order], np.cumsum(times["weight"].to_numpy()[order])
    out = np.full(ranges, np.iinfo(np.int64).min)
    if len(time):
        at = np.searchsorted(sums, np.arange(1, ranges) / ranges * sums[-1])
        out[1:] = time[np.minimum(at, len(time) - 1)]
    return out
