"""Published logs, in small: `init --from DIRECTORY` and `validate` take each as it lies, by one command and no code.

The positives are those of a plain computation on the drawn rows. docs/reference/published-logs.md lists what was
accepted: `UNIFIED_RANKER_WRITE_DOCS=1 pytest tests/project/init/test_published_logs.py` writes it.
"""

import functools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from published_logs import PUBLISHED
from small_project import cli
from toy_shop import ROOT

from unified_ranker.config.loading import load_config
from unified_ranker.core.positives import matches_any
from unified_ranker.log.schema import normalise
from unified_ranker.project.workspace import Workspace

PAGE = ROOT / "docs" / "reference" / "published-logs.md"
OPTIONS = {"goodbooks-10k": ["--order", "row"]}
"""What a person must say of a log beside its directory: that its rows are in the order of time."""
LIKED = {
    "Goodreads, UCSD CSV": "read",
    "Goodreads, UCSD JSON": "rating",
    "goodbooks-10k": "rating",
    "Yelp": "review",
    "Amazon Reviews 2023": "rating",
    "MovieLens 1M": "rating",
    "MovieLens latest": "rating",
}
"""Event type of logs with ratings up to 5, which count from 4 up."""
UNRATED = {"Goodreads, UCSD CSV"}
"""Logs in which an event of this type counts without a rating, too: a book was read."""
NOT_POSITIVE = {"MIND (Microsoft News)": {"impression"}}
"""Event types that are none."""
COLUMNS = ["user_id", "item_id", "timestamp", "event_type", "value"]


@dataclass(frozen=True)
class Accepted:
    """What came of a published log: the command, the declaration, the events, and the positives."""

    command: str
    data: dict
    files: list
    columns: str
    found: pd.DataFrame
    positives: pd.DataFrame
    expected: pd.DataFrame


@functools.cache
def accept(name):
    with tempfile.TemporaryDirectory() as directory:
        folder, shop = Path(directory) / PUBLISHED[name].__name__, Path(directory) / "shop"
        expected = PUBLISHED[name](folder)
        options = OPTIONS.get(name, [])
        begun = cli("init", shop, "--from", folder, *options)
        assert begun.exit_code == 0, begun.output
        checked = cli("validate", "--project", shop)
        assert checked.exit_code == 0, checked.output
        assert "FAIL" not in checked.output
        config = load_config(shop)
        tables = Workspace(shop, config).read_tables()
        events = normalise(tables.events, tables.items, tables.users).events
        positive = pd.Series(False, index=events.index)
        for task, declared in config.tasks.items():
            of_task = events["task"] == task
            positive |= of_task & matches_any(events["event_type"], events["value"], declared.positives)
        wanted = expected[~expected["event_type"].isin(NOT_POSITIVE.get(name, set()))]
        unrated = wanted["value"].isna() & (name in UNRATED)
        wanted = wanted[(wanted["event_type"] != LIKED.get(name)) | (wanted["value"] >= 4) | unrated]
        declared = yaml.safe_load((shop / "project.yaml").read_text())["data"]
        files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        command = " ".join(["unified-ranker init shop --from", folder.name, *options])
        return Accepted(command, declared, files, begun.output, events, events[positive], wanted)


def rows_of(events, timed):
    """Return events in an order of their own, without times where the log has none."""
    shown = events[COLUMNS if timed else [c for c in COLUMNS if c != "timestamp"]].copy()
    shown["value"] = shown["value"].astype(float).round(4)
    if timed:
        shown["timestamp"] = shown["timestamp"].dt.as_unit("us")
    return shown.astype({"user_id": "str", "item_id": "str", "event_type": "str"}).sort_values(
        list(shown), ignore_index=True
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_log_is_taken_as_it_lies(name):
    accepted = accept(name)
    timed = accepted.data.get("order", "time") == "time"
    pd.testing.assert_frame_equal(rows_of(accepted.positives, timed), rows_of(accepted.expected, timed))


def test_rows_without_times_keep_their_order():
    accepted = accept("goodbooks-10k")
    order = accepted.found.sort_values("timestamp", kind="stable")[["user_id", "item_id"]]
    with tempfile.TemporaryDirectory() as folder:
        written = PUBLISHED["goodbooks-10k"](Path(folder))[["user_id", "item_id"]]
    assert order.to_numpy().tolist() == written.to_numpy().tolist()


def test_a_shelf_without_times_is_interleaved_with_the_newest_book_last():
    """Every user's last book is in the last part of the log, so that the test slice has all users."""
    found = accept("Goodreads, UCSD CSV").found.sort_values("timestamp", kind="stable")
    last = found.tail(len(found) // 5)
    users = found["user_id"].value_counts()
    assert set(users.index[users >= 5]) <= set(last["user_id"])


def table():
    """Return the page of what was accepted."""
    lines = [
        "# Published logs",
        "",
        "<!-- Made by tests/project/init/test_published_logs.py; change the test, not this page. -->",
        "",
        "The tests generate small logs in these layouts, with the published names of files and columns, separators, "
        "encodings and forms of times. One command writes a project for each, `unified-ranker validate` passes, and "
        "the positives are those of a plain computation. Nothing is renamed or converted before.",
        "",
        "| log | files | command | how it is read | events | positives |",
        "|---|---|---|---|---|---|",
    ]
    for name in PUBLISHED:
        accepted = accept(name)
        files, counts = "<br>".join(f"`{f}`" for f in accepted.files), (len(accepted.found), len(accepted.positives))
        cells = [name, files, f"`{accepted.command}`", reading(accepted.data), *(f"{n:,}" for n in counts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def reading(data):
    """Return in a few words where each table comes from."""
    said = []
    for name in ("events", "items", "users"):
        source, columns = data.get(name), data.get("columns", {}).get(name, {})
        if source is None:
            said.append(f"{name}: those of the events")
        elif isinstance(source, dict) and "sql" in source:
            said.append(f"{name}: a query that the layout brings")
        else:
            pairs = [
                f"`{ours}` ← `{c if isinstance(c, str) else c.get('column', c.get('value'))}`"
                for ours, c in columns.items()
            ]
            said.append(f"{name}: {', '.join(pairs)}" if pairs else f"{name}: as it is")
    return "<br>".join(said).replace("|", "\\|")


def test_the_page_lists_what_was_accepted():
    if os.environ.get("UNIFIED_RANKER_WRITE_DOCS"):
        PAGE.write_text(table(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == table()
