"""Drift: a log that grows and is otherwise the same has none, and a change at its end is seen beside the growth."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unified_ranker.core.times import DAY
from unified_ranker.prepare.column_drift import EARLIER_EVENTS, ITEM_AGE, LARGE, column_drift, profile

BEGIN, SPAN = 1_600_000_000, 365 * DAY


def drift(*, users_join=False, items_appear=False, traffic_grows=False, shortened=1, seed=0):
    """Return the drift by column of a year in which users take random items; late histories are cut by a factor."""
    rng = np.random.default_rng(seed)
    users, items, count = 2_000, 1_000, 60_000
    share = np.sort(rng.random(count))
    time = (SPAN * (np.log1p(share * (np.e**2 - 1)) / 2 if traffic_grows else share)).astype(np.int64)
    joined = rng.integers(0, SPAN, users) if users_join else np.zeros(users, np.int64)
    created = rng.integers(0, SPAN, items) if items_appear else np.zeros(items, np.int64)
    user, item = rng.integers(0, users, count), rng.integers(0, items, count)
    there = (joined[user] <= time) & (created[item] < time)
    time, user, item = time[there], user[there], item[there]
    length = pd.Series(user).groupby(user).cumcount().to_numpy()
    late = np.arange(len(time)) >= 0.8 * len(time)
    none, same = np.full(len(time), -1), np.zeros(len(time), np.int64)
    nulls = {"query": pa.string(), "country": pa.string(), "value": pa.float32(), "position": pa.int64()}
    rows = pa.table(
        {"user": user, "item": item, "task": same, "event_type": same, "source_item": none, "query_item": none}
        | {name: pa.nulls(len(time), kind) for name, kind in nulls.items()}
        | {"history_length": np.where(late, length // shortened, length)}
    )
    stamps = pa.chunked_array([pa.array((created + BEGIN) * 1_000_000, pa.timestamp("us", "UTC"))])
    return {moved.column: moved for moved in column_drift(profile(rows, time + BEGIN, stamps, ["feed"], ["click"]))}


GROWING_LOGS = {
    "users and items of the begin": {},
    "new users": {"users_join": True},
    "new items": {"items_appear": True},
    "both": {"users_join": True, "items_appear": True},
    "more traffic": {"traffic_grows": True},
    "all three": {"users_join": True, "items_appear": True, "traffic_grows": True},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", GROWING_LOGS)
def test_a_log_that_grows_and_is_else_the_same_has_no_drift(name, seed):
    found = drift(**GROWING_LOGS[name], seed=seed)
    assert {moved.column: moved.verdict for moved in found.values() if moved.verdict != "stable"} == {}
    assert max(found[EARLIER_EVENTS].psi, found[ITEM_AGE].psi) > LARGE, "without growth it would be called large"


@pytest.mark.parametrize("name", ["new users", "both"])
def test_a_change_at_the_end_is_seen_beside_the_growth(name):
    found = drift(**GROWING_LOGS[name], shortened=8)
    assert found[EARLIER_EVENTS].verdict == "large"
    assert found[ITEM_AGE].verdict == "stable"
    assert next(iter(found)) == EARLIER_EVENTS, "what moved most beyond growth comes first"
