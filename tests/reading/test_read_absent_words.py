"""Words that mean absent, as the reading of tables and the checks of what it made see them: by one list."""

import pandas as pd

from unified_ranker.config import TablesSource
from unified_ranker.log.absent_words import ABSENT_WORDS
from unified_ranker.log.log_checks import validate_tables
from unified_ranker.project.log_files import loaded, read_into, tables_of

EVENTS = {"user_id": "u", "query": "lamp", "country": "GB", "value": "3", "position": "2", "source_item_id": "i"}
ITEMS = {"title": "Lamp", "created_at": "2020-01-01", "brand": "b", "price": "9", "categories": "a|b", "available": "1"}


def read(folder, events, items):
    """Read tables of CSV, and return the log with the checks of it."""
    folder.mkdir()
    events.assign(item_id="i", task="t", event_type="click").to_csv(folder / "events.csv", index=False)
    items.to_csv(folder / "items.csv", index=False)
    data = TablesSource.model_validate({"type": "tables", "events": "events.csv", "items": "items.csv"})
    (folder / "read").mkdir()
    read_into(data, folder, folder / "read")
    tables = loaded(tables_of(data, folder, folder / "read"))
    log, checks = validate_tables(tables.events, tables.items, tables.users)
    return log, {check.name: check for check in checks}


def test_every_word_in_every_column_is_read_as_null_and_counted(tmp_path):
    """Beside a row that has a value in each column, so that no column is empty."""
    words = [f"{before}{word}" for word in ABSENT_WORDS for before in ("", " ")]
    times = [str(1_600_000_000 + n) for n in range(len(words) + 1)]
    written, empty = (
        (
            pd.DataFrame({**{name: [*fill, EVENTS[name]] for name in EVENTS}, "timestamp": times}),
            pd.DataFrame(
                {
                    "item_id": ["i", *(f"j{n}" for n in range(len(words)))],
                    **{name: [ITEMS[name], *fill] for name in ITEMS},
                }
            ),
        )
        for fill in (words, [""] * len(words))
    )
    (log, checks), (expected, _) = (read(tmp_path / name, *of) for name, of in (("a", written), ("b", empty)))
    pd.testing.assert_frame_equal(log.events, expected.events)
    pd.testing.assert_frame_equal(log.items, expected.items)
    pd.testing.assert_frame_equal(log.users, expected.users)
    assert log.events["user_id"].notna().sum() == log.events["query"].notna().sum() == 1
    spelt = sum(bool(word.strip()) for word in words)
    for name in ("events.user_id", "events.query", "events.country", "items.title", "items.brand"):
        assert checks[f"{name} has no words that mean absent"].count == spelt
