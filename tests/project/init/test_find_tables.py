"""Search of a directory: which file holds the events, the items, the users, whatever their names are."""

import pandas as pd
import pytest
from drawn_log import csv, drawn, stamped, titles

from unified_ranker.core.errors import UserError
from unified_ranker.project.init.find_tables import find_tables


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
    found = find_tables(tmp_path)
    assert {name: table.name for name, table in found.items()} == {
        "events": "bewegungen_20191*.csv",
        "items": "artikel.csv",
        "users": "kunden.csv",
    }
    assert found["events"].columns["Kundennr"].rows == rows


def test_files_of_like_names_and_other_columns_are_no_parts_of_one_table(tmp_path):
    shop(tmp_path)
    (tmp_path / "bewegungen_201911.csv").write_text("Filiale;Umsatz\n0;10\n")
    assert find_tables(tmp_path)["events"].name == "bewegungen_201910.csv"


def test_the_largest_table_of_users_items_and_times_holds_the_events(tmp_path):
    e = drawn()
    log = pd.DataFrame({"user_id": e.user, "item_id": e.item, "timestamp": e.time})
    csv(log, tmp_path / "a.csv")
    csv(log.head(300), tmp_path / "b.csv")
    csv(
        log.drop(columns="timestamp").assign(text="a longer text of many words that fills the file"), tmp_path / "c.csv"
    )
    found = find_tables(tmp_path)
    assert {name: table.name for name, table in found.items()} == {"events": "a.csv"}


def test_a_directory_without_events_says_what_is_there(tmp_path):
    csv(pd.DataFrame({"city": ["Ulm", "Jena"], "people": [1, 2]}), tmp_path / "cities.csv")
    # A single table can only be the events, and then it is the columns that are in doubt.
    assert list(find_tables(tmp_path)) == ["events"]
    csv(pd.DataFrame({"land": ["DE", "FR"], "people": [1, 2]}), tmp_path / "lands.csv")
    with pytest.raises(UserError, match=r"no table has a user and an item.*`cities.csv`.*--events"):
        find_tables(tmp_path)
