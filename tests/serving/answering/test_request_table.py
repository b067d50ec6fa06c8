"""Rows of a table of requests: what they mean, and where their histories come from."""

import json
import math
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_project import TASKS, built_project, events_table, write_files, write_project

from unified_ranker.core.errors import UserError
from unified_ranker.serving.answering.project_log import project_log
from unified_ranker.serving.answering.request_table import read_requests

pytestmark = pytest.mark.xdist_group("small_project")


def no_remark(text):
    raise AssertionError(text)


@pytest.fixture(scope="module")
def release():
    return built_project().release


class NoLog:
    """Counts how often somebody asks for the log."""

    asked = 0

    def __call__(self):
        self.asked += 1


def read(tmp_path, table, limit=0):
    pq.write_table(table, tmp_path / "requests.parquet")
    log = NoLog()
    return read_requests(tmp_path / "requests.parquet", TASKS, log, limit), log


def test_ids_are_read_as_in_the_log(tmp_path):
    """The number 12, or 12.0 as pandas stores it beside a null, is "12"."""
    table = pa.table({"user_id": [12.0, None, 7.0], "task": ["search"] * 3, "source_item_id": [1, 2, None]})
    requests, _ = read(tmp_path, table)
    assert [r.user_id for r in requests] == ["12", "", "7"]
    assert [r.source_item_id for r in requests] == ["1", "2", ""]


def test_blank_fields_are_absent(tmp_path):
    table = pa.table({"user_id": ["u1"], "task": ["search"], "query": ["  "], "country": [""]})
    (request,), _ = read(tmp_path, table)
    assert (request.query, request.country, request.timestamp, request.limit) == ("", "", 0, 0)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1_700_000_000, None]),
        pa.array(["2023-11-14T22:13:20Z", None]),
        pa.array(["2023-11-14T23:13:20+01:00", ""]),
        pa.array([1_700_000_000_000, None], pa.timestamp("ms")),
        pa.array([1_700_000_000_999_999, None], pa.timestamp("us", "America/New_York")),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_times_are_utc_seconds_wherever_they_are_read(tmp_path, monkeypatch, times, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        events = pa.StructArray.from_arrays([pa.array(["i1"]), times[:1]], ["item_id", "timestamp"])
        history = pa.ListArray.from_arrays([0, 1, 1], events)
        table = pa.table({"user_id": ["u", "u"], "task": ["search"] * 2, "timestamp": times, "history": history})
        requests, log = read(tmp_path, table)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [r.timestamp for r in requests] == [1_700_000_000, 0]
    assert [r.history.timestamp.tolist() for r in requests] == [[1_700_000_000], []]
    assert log.asked == 0


def test_a_history_keeps_its_rows_apart(tmp_path):
    histories = [
        [{"item_id": "b", "timestamp": 20, "value": 4.5}, {"item_id": "a", "timestamp": 10, "value": None}],
        None,
        [],
        [{"item_id": "c", "timestamp": 5, "value": None}],
    ]
    kind = pa.list_(pa.struct([("item_id", pa.string()), ("timestamp", pa.int64()), ("value", pa.float64())]))
    table = pa.table({"user_id": ["u"] * 4, "task": ["search"] * 4, "history": pa.array(histories, kind)})
    for layout in (kind, pa.large_list(kind.value_type)):
        cast = table.set_column(2, "history", table["history"].cast(layout))
        requests, _ = read(tmp_path, cast)
        found = [r.history for r in requests]
        assert [h.item_id.tolist() for h in found] == [["a", "b"], [], [], ["c"]]
        assert [h.value.tolist() for h in found] == [[0.0, 4.5], [], [], [0.0]]
        assert [h.event_type.tolist() for h in found] == [["", ""], [], [], [""]]


def test_histories_of_several_chunks_belong_to_their_rows(tmp_path):
    kind = pa.list_(pa.struct([("item_id", pa.string()), ("timestamp", pa.int64())]))
    chunks = [pa.array([[{"item_id": f"i{n}", "timestamp": n + 1}]] * 2, kind) for n in range(3)]
    table = pa.table({"user_id": ["u"] * 6, "task": ["search"] * 6, "history": pa.chunked_array(chunks)})
    requests, _ = read(tmp_path, table)
    assert [r.history.item_id.tolist() for r in requests] == [["i0"], ["i0"], ["i1"], ["i1"], ["i2"], ["i2"]]


def test_the_log_is_opened_only_for_tables_without_histories(tmp_path):
    table = pa.table({"user_id": ["u"] * 3, "task": ["search"] * 3})
    requests, log = read(tmp_path, table)
    assert log.asked == 1
    assert all(len(r.history) == 0 for r in requests)


def test_the_first_fault_of_many_rows_is_reported_with_three_examples(tmp_path):
    table = pa.table({"user_id": ["u"] * 9, "task": ["search"] * 9, "limit": [1, -1, -2, 3, -4, -5, 6, 7, 8]})
    with pytest.raises(UserError) as caught:
        read(tmp_path, table)
    assert "in 4 rows, e.g. `-1 (row 1)`, `-2 (row 2)`, `-4 (row 4)`." in str(caught.value)


@pytest.mark.parametrize("name", ["limit", "timestamp"])
@pytest.mark.parametrize("number", [2**62, -(2**62), 1e300, math.inf, -math.inf])
def test_a_number_that_no_request_holds_is_refused_by_its_column(tmp_path, name, number):
    with pytest.raises(UserError, match=rf"requests.parquet`: `{name}` .*in 1 rows"):
        read(tmp_path, pa.table({"user_id": ["u", "v"], "task": ["search"] * 2, name: [None, number]}))


@pytest.mark.parametrize("name", ["user_id", "source_item_id", "query_item_id", "history"])
def test_an_id_has_the_limit_that_it_has_everywhere(tmp_path, name):
    def table(identifier):
        value = [{"item_id": identifier, "timestamp": 1}] if name == "history" else identifier
        return pa.table({"user_id": ["u"], "task": ["search"], name: [value]})

    read(tmp_path, table("\u00fc" * 240))
    with pytest.raises(UserError, match=rf"`{name}[.a-z_]*` has at most 480 bytes in UTF-8. .* in 1 rows"):
        read(tmp_path, table("\u00fc" * 241))


@pytest.mark.parametrize("limit", [-1, 10**7, 10**400], ids=["negative", "large", "400 digits"])
def test_the_limit_of_all_rows_has_bounds_too(tmp_path, limit):
    with pytest.raises(UserError, match="`limit` must be from 0"):
        read(tmp_path, pa.table({"user_id": ["u"], "task": ["search"]}), limit)


def test_releases_may_lie_deeper_in_a_project(tmp_path):
    """`releases_dir` tells how far up the project of an earlier release is."""
    project = write_project(tmp_path)
    manifest = json.loads((built_project().release / "manifest.json").read_text())
    manifest["config"]["project"]["releases_dir"] = "out/models"
    del manifest["project_path"]
    release = project / "out" / "models" / "1"
    release.mkdir(parents=True)
    (release / "manifest.json").write_text(json.dumps(manifest))
    write_files(project, {})
    assert len(project_log(release, None, no_remark).before("u1", 0)) == (events_table()["user_id"] == "u1").sum()


def test_a_named_project_brings_its_own_log(release, tmp_path):
    """With its own declarations: the tables may lie, and be called, otherwise."""
    project = write_project(tmp_path)
    (project / "data" / "events.parquet").rename(project / "data" / "log.parquet")
    files = (project / "project.yaml").read_text().replace("data/events.parquet", "data/log.parquet")
    (project / "project.yaml").write_text(files)
    remarks = []
    history = project_log(release, project, remarks.append).before("u1", np.datetime64("2024-01-20", "s").astype(int))
    assert remarks == [f"the data of {project} are not those that the release was made from"]
    early = events_table()["timestamp"] < "2024-01-20"
    assert len(history) == ((events_table()["user_id"] == "u1") & early).sum()
