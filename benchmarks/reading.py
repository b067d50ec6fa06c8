"""Reading of 10 M events from CSV, JSON lines and Parquet into the form of the log, beside DuckDB's own.

Run: `python benchmarks/reading.py [DIRECTORY] [--events 10000000]`. DuckDB casts the same columns and writes the same
Parquet; it looks at no row twice, numbers none, and stops at the first bad one. Expect at most six times its time, and
memory that does not grow with the log.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from machine import measure, write_result

OURS = """
import sys
from pathlib import Path
from unified_ranker.config import TablesSource
from unified_ranker.reading.canonical import read_sources
source, target = sys.argv[1:]
columns = {"user_id": "visitor", "item_id": "product", "event_type": "what", "timestamp": "moment",
           "task": {"value": "home_feed"}}
data = TablesSource.model_validate({"type": "tables", "events": source, "items": ITEMS, "columns": {"events": columns}})
Path(target).mkdir()
log = read_sources(data, Path(), Path(target))
print(log.tables["events"].rows - log.tables["events"].bad)
"""
DUCKDB = """
import sys, duckdb
source, target = sys.argv[1:]
db = duckdb.connect()
db.execute("SET enable_progress_bar=false"); db.execute("SET memory_limit='4GB'")
reader = {".csv": "read_csv", ".jsonl": "read_json", ".parquet": "read_parquet"}[source[source.rindex("."):]]
db.execute(f'''COPY (SELECT visitor::VARCHAR AS user_id, product::VARCHAR AS item_id, what AS event_type,
               'home_feed' AS task, make_timestamp(moment::BIGINT * 1000) AS timestamp,
               value::DOUBLE AS value
               FROM {reader}('{source}')) TO '{target}' (FORMAT parquet)''')
print(db.execute(f"SELECT count(*) FROM '{target}'").fetchone()[0])
"""
WRITE = """
import sys, duckdb
folder, events = sys.argv[1:]
db = duckdb.connect()
db.execute("SET enable_progress_bar=false"); db.execute("SELECT setseed(0.5)")
db.execute(f'''CREATE TABLE log AS SELECT (random() * 1000000)::BIGINT AS visitor,
               (random() * 200000)::BIGINT AS product,
               CASE WHEN random() < 0.1 THEN 'purchase' ELSE 'view' END AS what,
               1600000000000 + (range * 3001) % 30000000000 AS moment,
               CASE WHEN random() < 0.5 THEN round(random() * 5, 1) END AS value FROM range({events})''')
db.execute(f"COPY log TO '{folder}/log.csv'")
db.execute(f"COPY log TO '{folder}/log.jsonl' (FORMAT json)")
db.execute(f"COPY log TO '{folder}/log.parquet'")
"""
KINDS = ("csv", "jsonl", "parquet")


def main(directory: Path, events: int) -> None:
    """Write one log in three formats, and read each both ways."""
    folder = directory / f"log-{events}"
    if not folder.exists():
        folder.mkdir(parents=True)
        measure(sys.executable, "-c", WRITE, str(folder), str(events))
    items = folder / "items.csv"
    items.write_text("item_id\n0\n")
    ours = OURS.replace("ITEMS", repr(str(items)))
    rows = []
    for kind in KINDS:
        source = folder / f"log.{kind}"
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            own = measure(sys.executable, "-c", ours, str(source), f"{scratch}/read")
            theirs = measure(sys.executable, "-c", DUCKDB, str(source), f"{scratch}/theirs.parquet")
        assert int(own.output) == int(theirs.output) == events, (own.output, theirs.output)
        row = {
            "format": kind,
            "megabytes": source.stat().st_size // 10**6,
            "seconds": own.seconds,
            "memory_mib": own.together_mib,
            "duckdb_seconds": theirs.seconds,
            "duckdb_memory_mib": theirs.together_mib,
            "ratio": round(own.seconds / theirs.seconds, 2),
        }
        print(row)
        rows.append(row)
    write_result("reading", {"events": events, "rows": rows})


def where_and_how_many(description: str | None) -> argparse.Namespace:
    """Return the `directory` and the number of `events` that the command line gives."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("directory", type=Path, nargs="?", default=Path(tempfile.gettempdir()) / "reading")
    parser.add_argument("--events", type=int, default=10_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    given = where_and_how_many(__doc__)
    main(given.directory, given.events)
