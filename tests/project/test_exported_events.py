"""Events of a service as a table: with those of the warehouse each act counts once, however either spells the rest."""

import collections
import dataclasses

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from unified_ranker.cli.app import app
from unified_ranker.core.event import Event
from unified_ranker.core.times import MICROSECONDS
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.log.schema import normalise
from unified_ranker.project.exported_events import export_events

START = 1_700_000_000
FULL = Event("ann", "i1", "search", "click", START, 2.5, "red hat", "i9", "GB", "r1", 3, "e7", 250_000)
events = st.builds(
    Event,
    user_id=st.sampled_from(["ann", "bob", ""]),
    item_id=st.sampled_from(["i1", "i2"]),
    task=st.just("feed"),
    event_type=st.sampled_from(["view", "buy"]),
    timestamp=st.integers(START, START + 3),
    request_id=st.sampled_from(["", "r1", "r2"]),
)


class Log:
    """A log in memory, in pages of two events."""

    def __init__(self, logged):
        self.logged = logged

    def append(self, new):
        raise NotImplementedError

    def since(self, position, most=1000):
        first = int(position) + 1 if position else 0
        return [(str(n), event) for n, event in enumerate(self.logged)][first : first + 2]


def warehouse(file, logged, further=("request_id",)):
    """Write events as a warehouse might have them: in milliseconds, with fewer columns, and with one of its own."""
    rows = [dataclasses.asdict(event) for event in logged]
    names = ("user_id", "item_id", "task", "event_type", *further)
    kinds = {"position": pa.int64()}
    table = pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.string())) for name in names]))
    times = pa.array([1000 * row["timestamp"] + 437 for row in rows], pa.timestamp("ms", "UTC"))
    device = pa.array(["phone"] * len(rows))
    pq.write_table(table.append_column("timestamp", times).append_column("device", device), file)


def test_every_field_of_an_event_is_in_the_table(tmp_path):
    bare = Event("", "i2", "feed", "view", START + 1)
    found = export_events(Log([FULL, bare]), tmp_path / "live.parquet")
    assert (found.read, found.known, found.written) == (2, 0, 2)
    log = normalise(pq.read_table(tmp_path / "live.parquet"), pa.table({"item_id": ["i1", "i2", "i9"]}))
    rows = log.events.drop(columns=["query_item_id", "derived"]).to_dict("records")
    time = pd.Timestamp(START * MICROSECONDS + FULL.microsecond, unit="us", tz="UTC")
    assert {**rows[0], "microsecond": FULL.microsecond} == dataclasses.asdict(FULL) | {"timestamp": time}
    present = {name for name, value in rows[1].items() if not pd.isna(value)}
    assert present == {"item_id", "task", "event_type", "timestamp"}


COLUMNS = ("query", "source_item_id", "country", "request_id", "position", "event_id")
differing = st.fixed_dictionaries(
    {
        **{name: st.sampled_from(["", f"{name}-1", f"{name}-2"]) for name in COLUMNS if name != "position"},
        "position": st.sampled_from([None, 0, 7]),
    }
)
acts = st.builds(lambda event, rest: dataclasses.replace(event, **rest), events, differing)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(acts, min_size=1, max_size=10), st.data())
def test_what_the_warehouse_has_is_left_out_and_nothing_else(tmp_path, live, data):
    """The warehouse has some of the events, all of them without some columns."""
    has = data.draw(st.lists(st.sampled_from(COLUMNS), unique=True))
    named = [e.event_id and (e.user_id, e.event_id) for e in live]
    live = [e for n, e in enumerate(live) if not named[n] or named[n] not in named[:n]]  # as a store keeps them
    known = [data.draw(st.booleans()) for _ in live]
    warehouse(tmp_path / "events.parquet", [e for e, of_both in zip(live, known, strict=True) if of_both], has)
    found = export_events(Log(live), tmp_path / "live.parquet", tmp_path / "events.parquet")

    def seen(row):
        kept = (*has, "user_id", "item_id", "task", "event_type")
        return tuple(row[name] or "" for name in kept), int(row["timestamp"])

    written = pq.read_table(tmp_path / "live.parquet").to_pylist()
    rows = [dataclasses.asdict(event) for event in live]
    others = [row for row, of_both in zip(rows, known, strict=True) if of_both]
    left = collections.Counter(map(seen, rows)) - collections.Counter(map(seen, others))
    assert collections.Counter(seen({**row, "timestamp": row["timestamp"].timestamp()}) for row in written) == left
    assert found.written == len(written)


def test_a_field_that_one_log_lacks_does_not_make_an_event_two(tmp_path):
    """The warehouse knows the country of its own, and not every query."""
    one = dataclasses.replace(FULL, event_id="")
    live = [dataclasses.replace(one, country=""), dataclasses.replace(one, query="blue hat")]
    known = [dataclasses.replace(one, query=""), dataclasses.replace(one, country="US", position=9)]
    warehouse(tmp_path / "events.parquet", known, COLUMNS)
    assert export_events(Log(live), tmp_path / "live.parquet", tmp_path / "events.parquet").written == 1
    assert pq.read_table(tmp_path / "live.parquet")["query"].to_pylist() == ["blue hat"]


def test_the_id_of_an_event_says_that_it_is_one_whatever_the_rest(tmp_path):
    live = [dataclasses.replace(FULL, event_id=f"e{n}") for n in range(3)]
    later = dataclasses.replace(FULL, event_id="e1", timestamp=START + 2, country="US")
    last = dataclasses.replace(FULL, event_id="e9", timestamp=START + 3)
    warehouse(tmp_path / "events.parquet", [later, last], COLUMNS)
    live.append(dataclasses.replace(FULL, event_id="e8", timestamp=START + 3))
    export_events(Log(live), tmp_path / "live.parquet", tmp_path / "events.parquet")
    assert pq.read_table(tmp_path / "live.parquet")["event_id"].to_pylist() == ["e0", "e2", "e8"]


def test_the_command_reads_the_store_of_a_service_and_names_the_line_that_joins_both(tmp_path):
    store = LmdbStore(tmp_path / "store")
    store.append([FULL, dataclasses.replace(FULL, timestamp=START + 9, event_id="e8")])
    store.close()
    warehouse(tmp_path / "events.parquet", [FULL])
    arguments = ["events", "export", str(tmp_path / "store"), str(tmp_path / "live.parquet")]
    shown = CliRunner().invoke(app, [*arguments, "--without", str(tmp_path / "events.parquet")])
    assert shown.exit_code == 0, shown.output
    assert "2 events of the service, 1 of them in the other log: 1 written" in shown.output
    assert "UNION ALL BY NAME" in shown.output
    again = CliRunner().invoke(app, [*arguments[:2], str(tmp_path / "nothing"), arguments[3]])
    assert again.exit_code == 2
    assert not (tmp_path / "nothing").exists()
