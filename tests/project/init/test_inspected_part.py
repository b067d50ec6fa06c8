"""Events that `init` looks at: whole histories of some users of a large log, with the counts of all."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unified_ranker.log.schema import normalise
from unified_ranker.project.init.inspect_events import inspect_events
from unified_ranker.project.init.inspected_part import inspected_part
from unified_ranker.project.log_files import LogTables

EVENTS, RARE = 20_000, 40


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A log of 1,000 users in two files, with a rare kind of event, and events of nobody known."""
    folder, rng = tmp_path_factory.mktemp("log"), np.random.default_rng(2)
    user = rng.integers(0, 1000, EVENTS)
    events = pd.DataFrame(
        {
            "user_id": [None if n % 10 == 0 else f"u{number}" for n, number in enumerate(user)],
            "item_id": [f"i{number}" for number in rng.integers(0, 300, EVENTS)],
            "task": "home_feed",
            "event_type": rng.choice(["view", "buy"], EVENTS, p=[0.8, 0.2]),
            "timestamp": pd.to_datetime(1_600_000_000 + rng.integers(0, 10**7, EVENTS), unit="s", utc=True),
        }
    )
    events.loc[rng.choice(EVENTS, RARE, replace=False), "event_type"] = "gift"
    (folder / "events").mkdir()
    for number, part in enumerate((events[: EVENTS // 2], events[EVENTS // 2 :])):
        pq.write_table(pa.Table.from_pandas(part, preserve_index=False), folder / "events" / f"{number}.parquet")
    items = pa.table({"item_id": [f"i{number}" for number in range(300)]})
    pq.write_table(items, folder / "items.parquet")
    return LogTables(folder / "events", folder / "items.parquet", None)


def log_of(tables):
    return normalise(tables.events, tables.items, tables.users)


def test_a_small_log_is_looked_at_as_a_whole(found):
    tables, whole = inspected_part(found, EVENTS)
    assert (len(tables.events), whole) == (EVENTS, None)


def test_a_part_has_whole_histories_and_all_events_of_rare_kinds(found):
    every, (part, _) = inspected_part(found)[0].events.to_pandas(), inspected_part(found, EVENTS // 5)
    part = part.events.to_pandas()
    assert EVENTS // 8 < len(part) < EVENTS // 3
    assert (part["event_type"] == "gift").sum() == RARE
    common, all_of = (frame[frame["event_type"] != "gift"]["user_id"].value_counts() for frame in (part, every))
    assert (common == all_of[common.index]).all()
    assert 100 < len(common) < 300
    assert part["user_id"].isna().mean() == pytest.approx(0.1, abs=0.03)


def test_counts_are_those_of_the_whole_log_and_findings_about_the_same(found):
    right = inspect_events(log_of(inspected_part(found)[0]))
    tables, whole = inspected_part(found, EVENTS // 5)
    part = whole.of(inspect_events(log_of(tables)))
    for name in ("events", "users", "read", "left_out"):
        assert getattr(part, name) == getattr(right, name)
    (own,), (theirs,) = part.surfaces, right.surfaces
    assert own.kinds == theirs.kinds
    assert own.events == theirs.events
    assert part.positives == pytest.approx(right.positives, rel=0.05)
    assert part.per_user == pytest.approx(right.per_user, rel=0.2)
    assert own.repeat_share == pytest.approx(theirs.repeat_share, abs=0.02)
