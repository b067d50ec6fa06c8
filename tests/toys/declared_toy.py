"""A log of forty events, declarations that fit it, and what is wrong when either is changed."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.log.check import Check
from unified_ranker.log.schema import normalise
from unified_ranker.project.declaration_checks import check_declarations

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 40
NO_TITLES = {"title": None}


def make_log(events=None, items=None, users=None, rows=ROWS):
    """Return a log that `make_config` fits, with columns replaced, added or (None) left out."""
    searches = [i % 2 == 0 for i in range(rows)]
    base_events = {
        "user_id": [f"u{i % 4}" for i in range(rows)],
        "item_id": [f"i{i % 5}" for i in range(rows)],
        "task": ["search" if s else "home_feed" for s in searches],
        "event_type": ["click" if s else "rating" for s in searches],
        "timestamp": [START + timedelta(hours=i) for i in range(rows)],
        "query": ["red shoe" if s else None for s in searches],
        "source_item_id": ["i1" if s else None for s in searches],
        "value": [None if s else float(i % 5 + 1) for i, s in enumerate(searches)],
    }
    base_items = {
        "item_id": [f"i{i}" for i in range(5)],
        "title": ["red shoe", "blue shoe", "hat", "scarf", None],
        "brand": ["a", "b", "a", "b", None],
        "price": [1.5, 2.0, None, 4.0, 5.0],
        "stock": [1, 2, 3, 4, 5],
        "colours": [["red"], ["blue"], [], None, ["red", "blue"]],
        "created_at": [START] * 5,
        "nothing": pa.nulls(5, pa.float64()),
    }
    base_users = {
        "user_id": [f"u{i}" for i in range(4)],
        "country": ["GB", "US", None, None],
        "age": [1, 2, 3, None],
    }
    tables = []
    for base, changed in ((base_events, events), (base_items, items), (base_users, users)):
        columns = base | (changed or {})
        tables.append(pa.table({name: column for name, column in columns.items() if column is not None}))
    return normalise(*tables)


def make_config(item=None, user=None, context=None, home=None, search=None, ranker=None, **project):
    """Return declarations that fit `make_log`, with keys of the files replaced."""
    return Config.model_validate(
        {
            "project": {"name": "toy", "data": {"type": "tables", "events": "e", "items": "i"}, **project},
            "towers": {
                "item": {
                    "features": [
                        {"type": "text", "column": "title"},
                        {"type": "category", "column": "brand"},
                        {"type": "number", "column": "price"},
                        {"type": "category", "column": "stock"},
                        {"type": "categories", "column": "colours"},
                    ],
                    "quality": {
                        "popularity": {"type": "popularity"},
                        "clicks": {"type": "popularity", "event_types": ["click"]},
                        "rating": {"type": "mean_value"},
                        "freshness": {"type": "freshness"},
                    },
                    **(item or {}),
                },
                "user": {"profile": [{"type": "category", "column": "country"}], **(user or {})},
                "context": context or {"fields": ["query", "source_item", "country", "time"]},
                "ranker": ranker or {},
            },
            "tasks": {
                "home_feed": {"positives": [{"event_type": "rating", "min_value": 4}], **(home or {})},
                "search": {
                    "positives": [{"event_type": "click"}],
                    "imputation": {"query": "source_item_title", "country": "user"},
                    **(search or {}),
                },
            },
        }
    )


def broken(config, log):
    return [check for check in check_declarations(config, log) if not check.passed]


def the_broken(config, log) -> Check:
    found = broken(config, log)
    assert len(found) == 1, [check.line() for check in found]
    return found[0]
