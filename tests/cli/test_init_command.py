"""`init` at a terminal and elsewhere: what it asks, what it takes by itself, and what it refuses to guess."""

import os
import pty
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from drawn_log import csv, drawn
from small_project import cli


@pytest.fixture
def log(tmp_path):
    """Events of visitors of whom all are customers, too: both could be the user."""
    e = drawn()
    table = pd.DataFrame({"visitor_id": e.user, "customer_id": e.user + 500, "product_id": e.item, "ts": e.time})
    csv(table, tmp_path / "clicks.csv")
    return tmp_path / "clicks.csv"


def declared(directory):
    return yaml.safe_load((directory / "project.yaml").read_text())["data"]


def test_a_log_that_is_not_clear_is_refused_with_what_to_say(log, tmp_path):
    shown = cli("init", tmp_path / "shop", "--events", log)
    assert shown.exit_code == 2
    assert "`user_id`: `visitor_id`, `customer_id` are named alike. Say `--map user_id=visitor_id`." in shown.stderr
    assert "--yes" in shown.stderr
    assert not (tmp_path / "shop").exists()


def test_yes_takes_the_proposal_and_map_another(log, tmp_path):
    assert cli("init", tmp_path / "one", "--events", log, "--yes").exit_code == 0
    assert declared(tmp_path / "one")["columns"]["events"]["user_id"] == "visitor_id"
    options = ("--map", "user_id=customer_id", "--task", "lists", "--event-type", "open")
    assert cli("init", tmp_path / "two", "--events", log, *options).exit_code == 0
    data = declared(tmp_path / "two")
    assert data["columns"]["events"] == {
        "user_id": "customer_id",
        "item_id": "product_id",
        "task": {"value": "lists"},
        "event_type": {"value": "open"},
        "timestamp": "ts",
    }
    assert "items" not in data
    assert (tmp_path / "two" / "tasks" / "lists.yaml").exists()


def test_each_column_stands_in_the_project_with_its_reason(log, tmp_path):
    assert cli("init", tmp_path / "shop", "--events", log, "--yes").exit_code == 0
    text = (tmp_path / "shop" / "project.yaml").read_text().splitlines()
    at = next(n for n, line in enumerate(text) if line.strip() == "item_id: product_id")
    assert "40 distinct in" in text[at - 1]


def test_events_may_be_a_query_or_a_pattern(log, tmp_path):
    e = pd.read_csv(log)
    csv(e[::2], tmp_path / "parts" / "1.csv")
    csv(e[1::2], tmp_path / "parts" / "2.csv")
    assert cli("init", tmp_path / "one", "--events", tmp_path / "parts" / "*.csv", "--yes").exit_code == 0
    query = f"SELECT visitor_id AS user_id, product_id AS item_id, ts, 'open' AS event_type FROM '{log}'"  # noqa: S608
    assert cli("init", tmp_path / "two", "--events", query).exit_code == 0
    assert declared(tmp_path / "two")["events"] == {"sql": query}
    tasks = [(tmp_path / name / "tasks" / "home_feed.yaml").read_text() for name in ("one", "two")]
    assert all(f"Data: {len(e):,} of" in text for text in tasks)


def test_yes_cannot_take_what_was_not_found(tmp_path):
    e = drawn()
    csv(pd.DataFrame({"a": e.user, "b": e.item, "ts": e.time}), tmp_path / "log.csv")
    shown = cli("init", tmp_path / "shop", "--events", tmp_path / "log.csv", "--yes")
    assert shown.exit_code == 2
    assert "Say `--map user_id=COLUMN`" in shown.stderr
    assert "`a`, `b`" in shown.stderr


def test_no_table_at_all_is_a_mistake(tmp_path):
    shown = cli("init", tmp_path / "shop")
    assert shown.exit_code == 2
    assert "--events" in shown.stderr


def at_terminal(arguments, typed):
    """Run the command at a terminal where a person types, and return what it showed and its exit code."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "unified_ranker", "init", *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        os.write(ours, typed.encode())
        shown = process.stdout.read().decode()
    os.close(ours)
    os.close(theirs)
    return shown, process.returncode


def test_a_person_at_a_terminal_is_asked_and_corrected(log, tmp_path):
    shown, code = at_terminal([tmp_path / "shop", "--events", log], "user=customer_id\nuser_id=customer_id\n\n")
    assert code == 0, shown
    assert "are named alike" in shown
    assert "Did you mean `user_id`?" in shown
    assert declared(tmp_path / "shop")["columns"]["events"]["user_id"] == "customer_id"


def test_a_person_at_a_terminal_must_say_what_was_not_found(tmp_path):
    e = drawn()
    csv(pd.DataFrame({"a": e.user, "b": e.item, "ts": e.time}), tmp_path / "log.csv")
    shown, code = at_terminal([tmp_path / "shop", "--events", tmp_path / "log.csv"], "\nuser_id=a\nitem_id=b\n\n")
    assert code == 0, shown
    assert declared(tmp_path / "shop")["columns"]["events"]["item_id"] == "b"
