"""`init` on any log, drawn at random or real: the project loads, fits the log and can be prepared."""

import os
import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_shop import ROOT, START

from unified_ranker.config.loading import load_config
from unified_ranker.log.absent_words import ABSENT_WORDS
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import prepare
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.init.write_project import init_project

SMALL = st.sampled_from
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(
    lambda name: name.strip() and name.strip() not in ABSENT_WORDS
)


@st.composite
def small_logs(draw):
    """Return tables of a small log: any tasks, event types, values and feature columns, with gaps everywhere."""
    count, items, users = draw(st.integers(1, 40)), draw(st.integers(1, 12)), draw(st.integers(1, 6))
    types = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))

    def column(values, size=count):
        return draw(st.lists(values, min_size=size, max_size=size))

    ids = [f"i{i}" for i in range(items)]
    events = {
        "user_id": column(SMALL([None, *[f"u{i}" for i in range(users)]])),
        "item_id": column(SMALL(ids)),
        "task": column(SMALL(["home_feed", "search", "t2"])),
        "event_type": column(SMALL(types)),
        "timestamp": [START + timedelta(hours=h) for h in column(st.integers(0, 5000))],
    }
    optional = {
        "query": SMALL([None, "red", "red shoe"]),
        "source_item_id": SMALL([None, *ids]),
        "country": SMALL([None, "GB", "US"]),
        "value": SMALL([None, 1.0, 4.0, 5.0, 8.5]),
        "derived": st.booleans(),
    }
    for name in draw(st.lists(SMALL(sorted(optional)), unique=True)):
        events[name] = column(optional[name])
    kinds = {
        "title": st.none() | st.text(max_size=12),
        # Never after all of its events: such a log is refused.
        "created_at": SMALL([None, START, START - timedelta(days=20)]),
        "categories": st.none() | st.lists(SMALL(["a", "b", "c"]), max_size=3),
        draw(NAMES): SMALL([None, "x", "y"]),
        "size": st.none() | st.integers(-5, 5),
        "price": st.none() | st.floats(0, 1e6, width=32),
        "brand_id": SMALL([1, 2]),
    }
    taken = {"item_id", "user_id"}
    table = {"item_id": ids}
    for name in draw(st.lists(SMALL(sorted(kinds)), unique=True)):
        if name not in taken:
            table[name] = column(kinds[name], items)
    people = None
    if draw(st.booleans()):
        people = {"user_id": [f"u{i}" for i in range(users)]}
        if draw(st.booleans()):
            people["country"] = column(SMALL([None, "GB", "DE"]), users)
        if draw(st.booleans()):
            people[draw(NAMES.filter(lambda n: n not in ("user_id", "country", "created_at")))] = column(
                SMALL([None, "cook", "smith"]), users
            )
    return pa.table(events), pa.table(table), None if people is None else pa.table(people)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(small_logs())
def test_any_small_log_gets_a_project_that_loads_and_fits_it(tables):
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, table in enumerate(tables):
            path = Path(name) / f"{number}.parquet"
            if table is not None:
                pq.write_table(table, path)
            paths.append(None if table is None else path)
        init_project(Path(name) / "toy", *paths)
        config = load_config(Path(name) / "toy")
        log = normalise(*tables)
        assert [c.line() for c in check_declarations(config, log) if c.failed] == []
        assert set(config.tasks) <= set(log.events["task"])
        assert set(prepare(log, config).examples.task) == set(config.tasks)


@pytest.mark.parametrize("name", ["travel", "retail"])
def test_the_logs_of_the_examples(name, tmp_path):
    shared = Path(os.environ.get("UNIFIED_RANKER_SHARED", ROOT / ".." / "shared"))
    tables = [shared / "data" / name / f"{table}.parquet" for table in ("events", "items", "users")]
    if not tables[0].exists():
        pytest.skip(f"{tables[0]} is not there")
    init_project(tmp_path / name, *tables)
    ours, polished = load_config(tmp_path / name), load_config(ROOT / "examples" / name)
    assert set(ours.heads) == set(polished.heads)
    assert set(ours.tasks) == set(polished.tasks)
    # The examples are what `init` writes, gone over by hand: they agree on what the data says.
    assert ours.towers.item.features == polished.towers.item.features
    assert ours.towers.user == polished.towers.user
    again = ("first_engagement_only", "exclude_engaged")
    for task in ours.tasks:
        if name == "retail" and task == "home_feed":
            # Customers buy again what they had; the example is about what is new to them.
            assert not any(getattr(ours.tasks[task], field) for field in again)
            assert all(getattr(polished.tasks[task], field) for field in again)
        else:
            assert [getattr(ours.tasks[task], f) for f in again] == [getattr(polished.tasks[task], f) for f in again]
        for field in ("imputation", "negatives"):
            assert getattr(ours.tasks[task], field) == getattr(polished.tasks[task], field), (task, field)
