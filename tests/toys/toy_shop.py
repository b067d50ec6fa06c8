"""A small shop's log with three surfaces and columns of every kind, and projects written over such logs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from unified_ranker.config.loading import load_config
from unified_ranker.log.schema import normalise
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.init.write_project import init_project

ROOT = Path(__file__).parents[2]
START = datetime(2024, 1, 1, tzinfo=UTC)
USERS, ITEMS, DAYS = 30, 60, 200


def rows(task, event_type, count, start=0, **columns):
    """Return `count` events of one kind over `DAYS` days, users and items in turn; `columns` replace or add."""
    base = {
        "user_id": [f"u{(i * 7 + start) % USERS}" for i in range(count)],
        "item_id": [f"i{(i * 13 + start) % ITEMS}" for i in range(count)],
        "task": [task] * count,
        "event_type": [event_type] * count,
        "timestamp": [START + timedelta(days=DAYS * i / count, minutes=start) for i in range(count)],
    }
    return pd.DataFrame(base | columns)


def shop():
    """Return a log with three surfaces, ratings, anonymous signals and columns of every kind."""
    events = pd.concat(
        [
            rows(
                "home_feed",
                "rating",
                300,
                value=[float(i % 5 + 1) for i in range(300)],
                country=["GB", "US", None] * 100,
            ),
            rows("home_feed", "upvote", 80, start=1, user_id=None),
            rows("home_feed", "impression", 500, start=2),
            rows("more_like_this", "click", 120, start=3, source_item_id=[f"i{i % ITEMS}" for i in range(120)]),
            rows("search", "click", 90, start=4, query=[f"red shoe {i}" for i in range(90)]),
        ],
        ignore_index=True,
    )
    items = pd.DataFrame(
        {
            "item_id": [f"i{i}" for i in range(ITEMS)],
            "title": [f"The long story of item number {i}" for i in range(ITEMS)],
            "created_at": [START - timedelta(days=10 - i % 3) for i in range(ITEMS)],
            "categories": [["a", "b"] if i % 2 else ["c"] for i in range(ITEMS)],
            "brand_id": [f"brand{i % 6}" for i in range(ITEMS)],
            "price": [1.0 if i % 20 else 900.0 for i in range(ITEMS)],
            "year": [1950 + i % 30 for i in range(ITEMS)],
            "sku": [f"sku-{i:04}" for i in range(ITEMS)],
            "shelf (aisle)": ["left", "right"] * (ITEMS // 2),
            "kind": ["thing"] * ITEMS,
            "edited_at": [START] * ITEMS,
        }
    )
    users = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(USERS)],
            "country": ["GB", "US", None] * 10,
            "age": [20.0 + i % 40 for i in range(USERS)],
            "occupation": ["cook", "smith", "clerk"] * 10,
            "about me": [f"I am person {i} and I like things" for i in range(USERS)],
        }
    )
    return events, items, users


def write_tables(directory, events, items, users=None):
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in (("events", events), ("items", items), ("users", users)):
        if table is not None:
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), directory / f"{name}.parquet")
        paths.append(None if table is None else directory / f"{name}.parquet")
    return paths


def new_project(tmp_path, events, items, users=None):
    """Write the tables and a project over them; returns its configuration and directory."""
    paths = write_tables(tmp_path / "tables", events, items, users)
    directory = tmp_path / "my shop"
    written = init_project(directory, *paths)
    assert sorted(written) == sorted(p for p in directory.rglob("*") if p.is_file())
    config = load_config(directory)
    failed = [c.line() for c in check_declarations(config, normalise(events, items, users)) if c.failed]
    assert failed == []
    return config, directory


def comment_above(directory, file, words):
    """Return the comment lines, as one text, right above the first line of `file` that has `words`."""
    lines = (directory / file).read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if words in line and not line.lstrip().startswith("#"))
    first = at
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(line.lstrip().lstrip("#").strip() for line in lines[first:at])
