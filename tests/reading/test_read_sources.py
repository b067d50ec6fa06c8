"""A project's tables in the form of the log: mapped, with bad rows in quarantine, whatever they lie in."""

import json
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading_toy import quarantined, read_log, read_project

from unified_ranker.core.errors import UserError
from unified_ranker.project.log_files import lies_as_read, loaded

VISITS = """timestamp,visitorid,event,itemid,transactionid,brand,price
1433221332117,257597,view,355908,,acme,5
1433224214164,992329,transaction,248676,7,nike,6
1433221999827,nan,view,355908,,acme,7
"""
MAP = {
    "user_id": "visitorid",
    "item_id": "itemid",
    "event_type": {"column": "event", "values": {"transaction": "purchase"}},
    "task": {"value": "home_feed"},
}


def declared(**data):
    return {"events": "visits.csv", "columns": {"events": MAP}, **data}


@pytest.fixture
def visits(tmp_path):
    (tmp_path / "visits.csv").write_text(VISITS)
    return tmp_path


def lines(tables, share=0.0):
    return [check.line() for check in tables.read.checks(share)]


def test_columns_constants_and_values_are_mapped(visits):
    events, _, users = read_project(visits, declared())
    assert events.select(["user_id", "item_id", "event_type", "task"]).to_pylist() == [
        {"user_id": "257597", "item_id": "355908", "event_type": "view", "task": "home_feed"},
        {"user_id": "992329", "item_id": "248676", "event_type": "purchase", "task": "home_feed"},
        {"user_id": "nan", "item_id": "355908", "event_type": "view", "task": "home_feed"},
    ]
    assert events["timestamp"][0].as_py() == datetime(2015, 6, 2, 5, 2, 12, 117_000, UTC)
    assert users is None


def test_items_of_the_events_have_what_is_constant_for_each(visits):
    columns = {"events": MAP, "items": {"title": "brand"}}
    tables = read_log(visits, declared(columns=columns))
    items = loaded(tables).items.to_pylist()
    assert items == [
        {"item_id": "248676", "title": "nike", "transactionid": 7},
        {"item_id": "355908", "title": "acme", "transactionid": None},
    ]
    assert "PASS `price` is no column of items: it differs within 1 of them" in lines(tables)
    assert any("WARN events has no column beyond the contract: `price`" in line for line in lines(tables))


def test_items_that_are_only_sources_are_items(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id,item_id,source_item_id,task,event_type,timestamp\nu,a,b,more,view,2024-05-01\nu,a,,more,view,2024-05-02\n"
    )
    assert read_project(tmp_path, {"events": "e.csv"})[1]["item_id"].to_pylist() == ["a", "b"]


def test_users_of_the_events_have_the_declared_columns(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id,item_id,task,event_type,timestamp,land\nu,a,more,view,2024-05-01,GB\nv,a,more,view,2024-05-02,\n"
    )
    users = read_project(tmp_path, {"events": "e.csv", "columns": {"users": {"country": "land"}}})[2]
    assert users.to_pylist() == [{"user_id": "u", "country": "GB"}, {"user_id": "v", "country": None}]


def test_the_order_of_rows_stands_for_times(visits):
    tables = read_log(visits, declared(order="row"))
    times = loaded(tables).events["timestamp"].to_pylist()
    assert times == sorted(set(times))
    assert tables.read.by_position
    assert any("ordered by their rows" in line for line in lines(tables))


BAD = b"""user_id,item_id,task,event_type,timestamp,value,position
u0,a,home_feed,view,2024-05-01,1,1
u1,a,home_feed,view,soon,1,1
u2,a,home_feed,view,2024-05-01,many,1
u3,a
u4,a,home_feed,v\xffew,2024-05-01,1,1
u5,a,home_feed,view,2024-05-01,1,1.5
u6,a,home_feed,view,2024-05-02,nan,
"""


def test_every_fault_of_a_row_goes_to_one_quarantine_with_file_and_row(tmp_path):
    (tmp_path / "e.csv").write_bytes(BAD)
    tables = read_log(tmp_path, {"events": "e.csv"})
    events = loaded(tables).events
    assert events["user_id"].to_pylist() == ["u0", "u6"]
    assert events["value"].to_pylist() == [1.0, None]
    found = {row["row"]: row["reason"] for row in quarantined(tables)}
    assert found == {
        1: "events.timestamp is a time",
        2: "events.value is a number",
        3: "events.row has as many fields as there are columns (7)",
        4: "events.row is UTF-8 text, where no other `encoding` is declared",
        5: "events.position is a whole number",
    }
    assert {row["file"] for row in quarantined(tables)} == {str(tmp_path / "e.csv")}
    by_row = {row["row"]: row for row in quarantined(tables)}
    assert (by_row[1]["user_id"], by_row[1]["timestamp"], by_row[3]["line"]) == ("u1", "soon", "u3,a")
    log = tables.read.tables["events"]
    assert (log.rows, log.bad) == (7, 5)


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "FAIL"), (0.7, "FAIL"), (0.72, "WARN")])
def test_the_share_of_bad_rows_decides(tmp_path, share, verdict):
    (tmp_path / "e.csv").write_bytes(BAD)
    tables = read_log(tmp_path, {"events": "e.csv"})
    said = [line for line in lines(tables, share) if not line.startswith("PASS")]
    assert len(said) == 5
    assert all(line.startswith(verdict) for line in said)
    assert any("1 of 7 rows" in line and "row 1 of" in line for line in said)


def test_bad_rows_of_items_are_quarantined_too(tmp_path):
    (tmp_path / "i.csv").write_text("item_id,created_at,title\na,2024-05-01,x\nb,soon,y\nc\nd,2024-05-02,z\n")
    tables = read_log(tmp_path, {"items": "i.csv"})
    assert loaded(tables).items["item_id"].to_pylist() == ["a", "d"]
    assert {row["row"]: row["reason"] for row in quarantined(tables)} == {
        1: "items.created_at is a time",
        2: "items.row has as many fields as there are columns (3)",
    }


def test_features_are_typed_by_all_of_their_values(tmp_path):
    (tmp_path / "i.csv").write_text("item_id,price,code,zip,tags\na,1.5,7,01234,\"['x', 'y']\"\nb,n/a,x8,02345,['z']\n")
    items = read_project(tmp_path, {"items": "i.csv"})[1]
    assert items["price"].to_pylist() == [1.5, None]
    assert items["code"].to_pylist() == ["7", "x8"]
    assert items["zip"].to_pylist() == ["01234", "02345"]
    assert items["tags"].to_pylist() == [["x", "y"], ["z"]]


def test_two_readings_are_shown_with_the_line_that_declares_each(tmp_path):
    text = "user_id,item_id,task,event_type,day\nu,a,home_feed,view,05/06/2020\nv,a,home_feed,view,07/08/2020 10:00\n"
    (tmp_path / "e.csv").write_text(text)
    columns = {"events": {"timestamp": "day"}}
    with pytest.raises(UserError) as error:
        read_log(tmp_path, {"events": "e.csv", "columns": columns})
    for part in ("day before month", "month before day", '{column: day, format: "%d/%m/%Y"}', '"%m/%d/%Y"'):
        assert part in str(error.value)
    columns = {"events": {"timestamp": {"column": "day", "format": "%d/%m/%Y"}}}
    times = read_project(tmp_path, {"events": "e.csv", "columns": columns})[0]["timestamp"].to_pylist()
    assert times == [datetime(2020, 6, 5, tzinfo=UTC), datetime(2020, 8, 7, 10, tzinfo=UTC)]


MISTAKES = {
    "an unknown column of theirs": (
        {"events": {"user_id": "visitor"}},
        "no column `visitor`.*Did you mean `visitorid`",
    ),
    "an unknown column of ours": (
        {"events": {"user": "visitorid"}},
        "`user` is no column of events.*Did you mean",
    ),
    "a missing column": (
        {"events": {"user_id": "visitorid"}},
        "required column `item_id`.*`visitorid`",
    ),
    "values that are no times": (
        {"events": {**MAP, "timestamp": "brand"}},
        "must hold times that are recognised.*`acme`",
    ),
}


@pytest.mark.parametrize(("columns", "said"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_of_a_mapping_are_named(visits, columns, said):
    with pytest.raises(UserError, match=said):
        read_log(visits, declared(columns=columns))


TIMES = ["2024-05-01 00:00", "2024-05-02 10:00:00.5", "2024-05-03 00:00"]
FRAME = pd.DataFrame(
    {
        "user_id": ["u", None, "v"],
        "item_id": ["a", "b", "a"],
        "task": "home_feed",
        "event_type": ["view", "buy", "view"],
        "timestamp": pd.to_datetime(TIMES, utc=True, format="ISO8601").as_unit("us"),
        "value": [1.0, None, 2.5],
    }
)


def test_one_log_is_the_same_in_every_kind_of_file(tmp_path):
    FRAME.to_parquet(tmp_path / "e.parquet", index=False)
    FRAME.to_csv(tmp_path / "e.csv", index=False)
    FRAME.to_csv(tmp_path / "e.tsv.gz", index=False, sep="\t")
    text = FRAME.astype({"timestamp": str}).astype(object)
    text.to_json(tmp_path / "e.jsonl", orient="records", lines=True)
    (tmp_path / "l.json").write_text(json.dumps(text.where(text.notna(), None).to_dict("records")))
    millis = FRAME.assign(timestamp=FRAME["timestamp"].astype("int64") // 1000)
    millis.to_parquet(tmp_path / "m.parquet", index=False)
    sql = {"sql": "SELECT * FROM 'e.parquet'"}
    expected = None
    for source in ("e.parquet", "e.csv", "e.tsv.gz", "e.jsonl", "l.json", "m.parquet", sql):
        events, items, _ = read_project(tmp_path, {"events": source})
        times = events["timestamp"].cast(pa.timestamp("us", "UTC"))
        found = [*events.select(["user_id", "item_id", "event_type", "value"]).to_pylist(), *times.to_pylist()]
        assert items["item_id"].to_pylist() == ["a", "b"]
        assert expected is None or found == expected
        expected = found


def test_parquet_in_our_form_is_used_as_it_lies(tmp_path):
    from unified_ranker.config import TablesSource

    def lies(**data):
        return lies_as_read(TablesSource.model_validate({"type": "tables", "items": "i.parquet", **data}), tmp_path)

    FRAME.to_parquet(tmp_path / "e.parquet", index=False)
    pq.write_table(pa.table({"item_id": ["a", "b"]}), tmp_path / "i.parquet")
    assert lies(events="e.parquet")
    assert not lies(events="e.parquet", columns={"events": {"task": {"value": "x"}}})
    assert not lies(events="e.parquet", order="row")
    FRAME.assign(timestamp=FRAME["timestamp"].astype(str)).to_parquet(tmp_path / "t.parquet", index=False)
    assert not lies(events="t.parquet")
    pq.write_table(pa.table({"item_id": [1.0, 2.0]}), tmp_path / "i.parquet")
    assert not lies(events="e.parquet")


ORDERS = {
    "%d.%m.%Y": ["2020-09-13", "2020-10-01", "2020-10-03"],
    "%m.%d.%Y": ["2020-01-10", "2020-10-03"],
    "%Y-%m-%d": ["2020-10-03"],
    "%Y": ["2020-10-03"],
}


@pytest.mark.parametrize(("form", "days"), ORDERS.items(), ids=ORDERS)
def test_beside_a_declared_format_no_other_order_of_day_and_month_is_read(tmp_path, form, days):
    given = ["13.09.2020", "01.10.2020", "2020-10-03"]
    rows = "".join(f"u{n},i{n},home_feed,view,{day}\n" for n, day in enumerate(given))
    (tmp_path / "e.csv").write_text("user_id,item_id,task,event_type,timestamp\n" + rows)
    columns = {"events": {"timestamp": {"column": "timestamp", "format": form}}}
    read = loaded(read_log(tmp_path, {"events": "e.csv", "columns": columns})).events["timestamp"].to_pylist()
    assert sorted(f"{time:%Y-%m-%d}" for time in read) == days


@pytest.mark.parametrize("table", ["items", "users"])
def test_a_column_that_tables_made_of_the_events_lack_is_named(visits, table):
    with pytest.raises(
        UserError, match=rf"`data.columns.{table}.title`: there is no column `brnd`.*Did you mean `brand`"
    ):
        read_log(visits, declared(columns={"events": MAP, table: {"title": "brnd"}}))


@pytest.mark.parametrize("items", ["goods.csv", None])
def test_a_declared_column_is_not_replaced_by_one_of_its_name(tmp_path, items):
    (tmp_path / "goods.csv").write_text("item_id,title,name,created_at\ni,SKU 1,Hat,2024-01-01\n")
    (tmp_path / "all.csv").write_text(
        "user_id,item_id,task,event_type,timestamp,title,name,created_at\n"
        "u,i,home_feed,view,2024-05-01,SKU 1,Hat,2024-01-01\n"
    )
    columns = {"items": {"title": "name", "created_at": {"value": "null"}}}
    data = {"events": "all.csv", "columns": columns} | ({"items": items} if items else {})
    found = loaded(read_log(tmp_path, data)).items.to_pylist()
    assert [(row["title"], row["created_at"]) for row in found] == [("Hat", None)]


@pytest.mark.parametrize(("spelling", "read"), [(None, " A1 "), ("trimmed", "A1"), ("lower", "a1")])
def test_ids_are_read_in_the_declared_spelling(tmp_path, spelling, read):
    (tmp_path / "e.csv").write_text('user_id,item_id,task,event_type,timestamp\nu," A1 ",t,view,2024-05-01\n')
    column = {"column": "item_id"} | ({"spelling": spelling} if spelling else {})
    events, items, _ = read_project(tmp_path, {"events": "e.csv", "columns": {"events": {"item_id": column}}})
    assert events["item_id"].to_pylist() == items["item_id"].to_pylist() == [read]


def test_numbers_of_a_value_map_are_numbers(tmp_path):
    rows = "".join(f"u,i,t,view,2024-05-0{n + 1},{value}\n" for n, value in enumerate(("99.0", "99", "9.9", "5")))
    (tmp_path / "e.csv").write_text("user_id,item_id,task,event_type,timestamp,stars\n" + rows)
    columns = {"events": {"value": {"column": "stars", "values": {"99": "null"}}}}
    assert read_project(tmp_path, {"events": "e.csv", "columns": columns})[0]["value"].to_pylist() == [
        None,
        None,
        9.9,
        5,
    ]
