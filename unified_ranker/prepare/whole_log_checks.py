"""Checks that no shard of a log can make alone, from the counts of all of them; see `log.pattern_checks`."""

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.arrays import Ints
from unified_ranker.engines.job import Reader
from unified_ranker.log.check import Check
from unified_ranker.log.pattern_checks import created_before, dominance, several, spelling, usual_times
from unified_ranker.prepare.stage_names import ORDER_STAGE, SCAN_STAGE, SECOND, TABLES_STAGE, USERS_STAGE
from unified_ranker.prepare.undated_columns import MOST_TYPES, ItemEvents, known_before_checks, undated_columns


def scanned_log_checks(reader: Reader) -> list[Check]:
    """Return the checks of who dominates, of spellings, and of creation times, after the stages `scan` and `users`."""
    keys = reader.read(TABLES_STAGE, 0, "keys").to_pandas().set_index("item_id")
    of_items = reader.gather(SCAN_STAGE, "items").to_pandas().groupby("item").agg({"events": "sum", "first": "min"})
    of_items.index = keys.index[of_items.index]
    names = reader.read(USERS_STAGE, 0, "names").to_pandas()
    counts = {
        "user_id": _summed(reader.gather(SCAN_STAGE, "users").to_pandas(), "user_id"),
        "item_id": of_items["events"],
        "task": _summed(names, "task"),
        "event_type": _summed(names, "event_type"),
    }
    total = int(names["events"].sum())
    first = pd.to_datetime(of_items["first"] // SECOND, unit="s", utc=True).reindex(keys.index)
    return [
        *several(len(keys), counts),
        *(dominance(name, counts[name], total) for name in ("user_id", "item_id")),
        *(spelling(name, of) for name, of in counts.items()),
        usual_times(_times(reader)),
        created_before(keys["created"], first),
    ]


def _times(reader: Reader) -> Ints:
    """Return times of events in seconds, of a sample that holds the first and the last."""
    sample = reader.gather(SCAN_STAGE, "times")
    return np.repeat(sample["time"].to_numpy() // SECOND, np.ceil(sample["weight"].to_numpy() / 100).astype(np.int64))


def undated_checks(reader: Reader, config: Config, ranges: int, fit_end: int) -> list[Check]:
    """Return the checks that declared numbers of items were known before the events, after the stage `order`."""
    names = reader.read(USERS_STAGE, 0, "names").to_pandas()
    numbers = sorted(names["event_type"].unique())
    frequent = _summed(names, "event_type").nlargest(MOST_TYPES).index
    parts = (reader.read(ORDER_STAGE, shard, "events") for shard in range(ranges))
    chunks = (
        ItemEvents(
            part["item"].to_numpy(),
            part["timestamp"].to_numpy(),
            part["event_type"].to_numpy(),
            part["value"].fill_null(float("nan")).to_numpy(),
        )
        for part in parts
    )
    items = reader.read(TABLES_STAGE, 0, "items").to_pandas()
    found = undated_columns(items, chunks, {numbers.index(name): str(name) for name in frequent}, fit_end)
    return list(known_before_checks(config.towers.item.features, found))


def _summed(counts: pd.DataFrame, column: str) -> "pd.Series[int]":
    return counts.groupby(column)["events"].sum()
