"""Search of a directory: which file holds the events, the items, the users, whatever their names are."""

import bz2
import gzip
import json
import re

import pandas as pd
import pyarrow as pa
import pytest
from drawn_log import csv, drawn, stamped, titles

from unified_ranker.core.errors import UserError
from unified_ranker.project.init.column_choices import read_said
from unified_ranker.project.init.find_tables import find_tables
from unified_ranker.project.init.project_plan import Given, plan_project
from unified_ranker.project.init.write_project import certain
from unified_ranker.reading.source_files import COMPRESSED_SUFFIXES


def shop(folder):
    """Write the export of a shop: movements in monthly parts, articles, customers, branches, and notes."""
    e = drawn(days=60)
    moves = pd.DataFrame(
        {
            "Kundennr": e.user + 9000,
            "Artikelnr": e.item + 100,
            "Filiale": e.user % 3,
            "Datum": stamped(e.time).dt.strftime("%d.%m.%Y %H:%M"),
        }
    )
    month = stamped(e.time).dt.month
    for number in (10, 11):
        csv(moves[month == number], folder / f"bewegungen_2019{number}.csv", sep=";")
    csv(
        pd.DataFrame({"Nr": range(100, 140), "Bezeichnung": titles(), "Preis": range(40)}),
        folder / "artikel.csv",
        sep=";",
    )
    csv(pd.DataFrame({"Artikelnr": range(100, 140), "Lager": range(40)}), folder / "bestand.csv", sep=";")
    csv(pd.DataFrame({"Nr": range(9000, 9060), "PLZ": range(60), "Alter": range(60)}), folder / "kunden.csv", sep=";")
    csv(pd.DataFrame({"Filiale": [0, 1, 2], "Ort": ["Ulm", "Jena", "Trier"]}), folder / "filialen.csv", sep=";")
    (folder / "notizen.txt").write_text("Die Daten sind vom Januar.\nFragen an die Buchhaltung.\n")
    (folder / "README.md").write_text("# Export\n")
    return len(moves)


def test_tables_are_found_by_what_they_hold(tmp_path):
    rows = shop(tmp_path)
    found = find_tables(tmp_path).tables
    assert {name: table.name for name, table in found.items()} == {
        "events": "bewegungen_20191*.csv",
        "items": "artikel.csv",
        "users": "kunden.csv",
    }
    assert found["events"].columns["Kundennr"].rows == rows


def test_files_of_like_names_and_other_columns_are_no_parts_of_one_table(tmp_path):
    shop(tmp_path)
    (tmp_path / "bewegungen_201911.csv").write_text("Filiale;Umsatz\n0;10\n")
    assert find_tables(tmp_path).tables["events"].name == "bewegungen_201910.csv"


def test_the_largest_table_of_users_items_and_times_holds_the_events(tmp_path):
    e = drawn()
    log = pd.DataFrame({"user_id": e.user, "item_id": e.item, "timestamp": e.time})
    csv(log, tmp_path / "a.csv")
    csv(log.head(300), tmp_path / "b.csv")
    csv(
        log.drop(columns="timestamp").assign(text="a longer text of many words that fills the file"), tmp_path / "c.csv"
    )
    found = find_tables(tmp_path).tables
    assert {name: table.name for name, table in found.items()} == {"events": "a.csv"}


@pytest.mark.parametrize(
    ("suffix", "compressed"),
    [
        (suffix, compressed)
        for suffix in (".csv", ".tsv", ".psv", ".dat", ".txt", ".json", ".jsonl", ".ndjson")
        for compressed in (*COMPRESSED_SUFFIXES, "")
        # DuckDB reads no JSON in bz2, and the error says so.
        if not ("json" in suffix and compressed == ".bz2")
    ],
)
def test_what_can_be_read_is_found_whatever_its_suffix(suffix, compressed, tmp_path):
    """What a directory of a table may hold, a directory of tables may hold, too."""
    pack = {".gz": gzip, ".gzip": gzip, ".bz2": bz2}.get(compressed)
    e = drawn()
    log = pd.DataFrame({"user_id": e.user, "item_id": e.item, "timestamp": e.time}).head(200)
    lines = log.to_json(orient="records", lines=True) if "json" in suffix else log.to_csv(index=False)
    data = pa.compress(lines.encode(), "zstd", asbytes=True) if compressed in (".zst", ".zstd") else lines.encode()
    file = tmp_path / f"log{suffix}{compressed}"
    file.write_bytes(data if pack is None else pack.compress(data))
    assert find_tables(tmp_path).tables["events"].name == file.name


def test_a_directory_without_events_says_what_is_there(tmp_path):
    csv(pd.DataFrame({"city": ["Ulm", "Jena"], "people": [1, 2]}), tmp_path / "cities.csv")
    # A single table can only be the events, and then it is the columns that are in doubt.
    assert list(find_tables(tmp_path).tables) == ["events"]
    csv(pd.DataFrame({"land": ["DE", "FR"], "people": [1, 2]}), tmp_path / "lands.csv")
    with pytest.raises(UserError, match=r"no table has a user and an item.*`cities.csv`.*--events"):
        find_tables(tmp_path)


def test_what_a_person_says_of_columns_decides_which_table_holds_the_events(tmp_path):
    e = drawn()
    csv(pd.DataFrame({"who": e.user, "what": e.item, "timestamp": e.time}), tmp_path / "log.csv")
    csv(pd.DataFrame({"number": range(40), "properties": titles()}), tmp_path / "goods.csv")
    with pytest.raises(UserError, match="no table has a user and an item"):
        find_tables(tmp_path)
    found = find_tables(tmp_path, read_said(["user_id=who", "item_id=what", "items.item_id=number"], {})).tables
    assert {name: table.name for name, table in found.items()} == {"events": "log.csv", "items": "goods.csv"}


@pytest.mark.parametrize("formats", [("csv", "csv", "parquet"), ("jsonl", "csv.gz", "parquet"), ("tsv", "txt", "csv")])
def test_parts_of_one_table_in_several_formats_are_one_table(formats, tmp_path):
    e = drawn()
    log = pd.DataFrame({"user_id": e.user, "item_id": e.item, "timestamp": e.time})
    for number, suffix in enumerate(formats):
        part, file = log[number::3], tmp_path / f"events-{number}.{suffix}"
        if suffix == "parquet":
            part.to_parquet(file, index=False)
        elif suffix == "jsonl":
            part.to_json(file, orient="records", lines=True)
        else:
            part.to_csv(file, index=False, sep="\t" if suffix == "tsv" else ",")
    assert find_tables(tmp_path).tables["events"].columns["item_id"].rows == len(log)


def test_a_table_in_two_formats_is_not_read_twice(tmp_path):
    e = drawn()
    log = pd.DataFrame({"user_id": e.user, "item_id": e.item, "timestamp": e.time})
    csv(log, tmp_path / "events.csv")
    log.to_parquet(tmp_path / "events.parquet", index=False)
    assert find_tables(tmp_path).tables["events"].columns["item_id"].rows == len(log)


def cut(text, suffix):
    """Return three quarters of a compressed text, as an interrupted download leaves it."""
    whole = gzip.compress(text) if suffix == "gz" else pa.compress(text, "zstd", asbytes=True)
    return whole[: len(whole) * 3 // 4]


UNREADABLE = {
    "log.csv.gz": cut(b"user_id,item_id,timestamp\n" + bytes(range(48, 90)) * 99, "gz"),
    "log.csv.zst": cut(b"user_id,item_id,timestamp\n" + bytes(range(48, 90)) * 99, "zst"),
    "log.jsonl.gz": cut(b'{"user_id": 1}\n' * 99, "gz"),
    "log.parquet": b"PAR1 and then no more",
    "log.csv": b"",
    "log.tsv": b"PK\x03\x04 a spreadsheet",
    "log.dat": b"a,a,b\n1,2,3\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_named_with_its_reason(name, tmp_path):
    (tmp_path / name).write_bytes(UNREADABLE[name])
    with pytest.raises(UserError, match=rf"`[^`]*{re.escape(name)}`.*--events"):
        find_tables(tmp_path)
    e = drawn()
    csv(pd.DataFrame({"user_id": e.user, "item_id": e.item, "timestamp": e.time}), tmp_path / "more.csv")
    (reason,) = find_tables(tmp_path).unread
    assert name in reason


def test_a_directory_without_tables_says_what_is_in_it(tmp_path):
    (tmp_path / "events.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"no file of a table among `events.xlsx`"):
        find_tables(tmp_path)


def test_nested_events_are_named_with_a_query_that_takes_them_apart(tmp_path):
    e = drawn()
    events = pd.DataFrame({"session": e.user, "aid": e.item, "ts": e.time * 1000, "type": "clicks"})
    sessions = [
        {"session": session, "events": of.drop(columns="session").to_dict("records")}
        for session, of in events.groupby("session")
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(session) for session in sessions))
    with pytest.raises(UserError, match="objects") as raised:
        certain(plan_project(tmp_path / "shop", Given({"events": file})))
    query = re.search(r"SELECT [^`\"]*", str(raised.value))[0].replace("FILE", str(file))
    plan = certain(plan_project(tmp_path / "shop", Given({"events": query}, columns=("item_id=aid",))))
    assert {c.column: c.taken for c in plan.choices if c.taken} == {
        "user_id": "session", "item_id": "aid", "timestamp": "ts", "event_type": "type",
    }  # fmt: skip
    assert plan.tables["events"].columns["aid"].rows == len(e.user)


def test_tables_that_are_not_used_are_named(tmp_path):
    shop(tmp_path)
    used = find_tables(tmp_path)
    assert {"bestand.csv", "filialen.csv"} <= set(used.unused)
    assert not {table.name for table in used.tables.values()} & set(used.unused)
    # A key that occurs twice is none: the table is left out, and said to be.
    goods = pd.read_csv(tmp_path / "artikel.csv", sep=";")
    csv(pd.concat([goods, goods]), tmp_path / "artikel.csv", sep=";")
    reason = find_tables(tmp_path).unused["artikel.csv"]
    assert "`Nr` of the items names 40 in 80 rows, and must name each once" in reason
    query = re.search(r'--items "(.*)"`', reason)[1]
    mended = plan_project(tmp_path / "shop", Given({"items": query}, tmp_path))
    assert mended.tables["items"].columns["Nr"].unique
    assert {c.path: c.taken for c in mended.choices}["items.title"] == "Bezeichnung"


@pytest.mark.parametrize(
    ("key", "names"),
    [("user_id", ("userID", "bookmarkID", "tagID")), ("item_id", ("user_id", "product_id", "brand_code"))],
)
def test_a_table_of_something_else_does_not_displace_the_column_that_is_named_like_the_key(key, names, tmp_path):
    e = drawn()
    user, item, other = names
    log = pd.DataFrame({user: e.user + 500, item: e.item + 9000, other: e.item % 20 + 70_000, "timestamp": e.time})
    csv(log, tmp_path / "log.csv")
    csv(pd.DataFrame({"id": range(70_000, 70_020), "name": titles()[:20]}), tmp_path / "others.csv")
    said = ["item_id=bookmarkID"] if key == "user_id" else []
    plan = certain(plan_project(tmp_path / "shop", Given({}, tmp_path, columns=tuple(said))))
    taken = {c.path: c.taken for c in plan.choices}
    assert (taken["user_id"], taken["item_id"]) == (user, item)
    assert list(plan.unused) == ["others.csv"]
