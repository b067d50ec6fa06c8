"""Events of a service as a table: with those of the warehouse each act counts once, however either spells the rest."""

import dataclasses

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from unified_ranker.cli.app import app
from unified_ranker.core.event import Event
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.log.schema import normalise
from unified_ranker.project.exported_events import export_events

START = 1_700_000_000
FULL = Event("ann", "i1", "search", "click", START, 2.5, "red hat", "i9", "GB", "r1", 3)
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


def warehouse(file, logged):
    """Write events as a warehouse might have them: in milliseconds, with fewer columns, and with one of its own."""
    rows = [dataclasses.asdict(event) for event in logged]
    names = ("user_id", "item_id", "task", "event_type", "request_id")
    table = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))
    times = pa.array([1000 * row["timestamp"] + 437 for row in rows], pa.timestamp("ms", "UTC"))
    device = pa.array(["phone"] * len(rows))
    pq.write_table(table.append_column("timestamp", times).append_column("device", device), file)


def test_every_field_of_an_event_is_in_the_table(tmp_path):
    bare = Event("", "i2", "feed", "view", START + 1)
    found = export_events(Log([FULL, bare]), tmp_path / "live.parquet")
    assert (found.read, found.known, found.written) == (2, 0, 2)
    log = normalise(pq.read_table(tmp_path / "live.parquet"), pa.table({"item_id": ["i1", "i2", "i9"]}))
    rows = log.events.drop(columns=["query_item_id", "derived"]).to_dict("records")
    assert rows[0] == dataclasses.asdict(FULL) | {"timestamp": pd.Timestamp(START, unit="s", tz="UTC")}
    present = {name for name, value in rows[1].items() if not pd.isna(value)}
    assert present == {"item_id", "task", "event_type", "timestamp"}


def identity(event):
    of_anonymous = event.user_id or event.request_id
    return (event.user_id, event.item_id, event.task, event.event_type, event.timestamp, of_anonymous)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, max_size=8), st.lists(events, min_size=1, max_size=8))
def test_what_the_warehouse_has_is_left_out_and_nothing_else(tmp_path, live, known):
    warehouse(tmp_path / "events.parquet", known)
    found = export_events(Log(live), tmp_path / "live.parquet", tmp_path / "events.parquet")
    left = [event for event in live if identity(event) not in {identity(other) for other in known}]
    table = pq.read_table(tmp_path / "live.parquet")
    assert table["item_id"].to_pylist() == [event.item_id for event in left]
    assert (table["user_id"].fill_null("").to_pylist(), found.written) == ([event.user_id for event in left], len(left))


def test_the_command_reads_the_store_of_a_service_and_names_the_line_that_joins_both(tmp_path):
    store = LmdbStore(tmp_path / "store")
    store.append([FULL, dataclasses.replace(FULL, timestamp=START + 9)])
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
