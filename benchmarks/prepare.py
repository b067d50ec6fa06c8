"""`prepare` at 1 M, 3 M and 10 M events, by Beam and dask, beside the same job in DuckDB.

Run: `python benchmarks/prepare.py [DIRECTORY]`. Expect at least 60,000 events/s on 2 cores, memory of a worker that
does not grow with the log, and at most three times DuckDB's time.
"""

import sys
import tempfile
from pathlib import Path

from machine import measure, plain, write_result

SIZES = (1_000_000, 3_000_000, 10_000_000)
ITEMS, USERS = 1_000_000, 200_000
PLAIN_JOB = """
import sys, time, duckdb
root, out = sys.argv[1:3]
db = duckdb.connect()
db.execute('SET enable_progress_bar=false')
db.execute("SET memory_limit='4GB'"); db.execute(f"SET temp_directory='{out}/spill'"); db.execute("SET threads=2")
db.execute(f'''CREATE TABLE items AS SELECT *, row_number() OVER (ORDER BY created_at, item_id) - 1 AS i
               FROM read_parquet('{root}/items/*.parquet')''')
db.execute(f'''CREATE TABLE users AS SELECT user_id, row_number() OVER (ORDER BY user_id) - 1 AS u FROM (
               SELECT user_id FROM read_parquet('{root}/users/*.parquet') UNION
               SELECT user_id FROM read_parquet('{root}/events/*.parquet') WHERE user_id IS NOT NULL)''')
db.execute(f'''CREATE TABLE log AS SELECT DISTINCT u.u, i.i, s.i AS source,
               e.* EXCLUDE (user_id, item_id, source_item_id)
               FROM read_parquet('{root}/events/*.parquet') e JOIN items i USING (item_id)
               LEFT JOIN users u USING (user_id) LEFT JOIN items s ON e.source_item_id = s.item_id
               WHERE e.timestamp <= now() + INTERVAL 1 DAY''')
db.execute(f'''COPY (SELECT u, i, event_type, task, timestamp, value FROM log WHERE u IS NOT NULL
               AND event_type IN ('click', 'purchase') ORDER BY u, timestamp, i, task, event_type)
               TO '{out}/histories.parquet' ''')
db.execute(f'''COPY (SELECT i, event_type, timestamp, value, event_type IN ('click', 'purchase') AS positive FROM log
               ORDER BY timestamp, u, i, task, event_type) TO '{out}/events.parquet' ''')
db.execute(f'''COPY (SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY u ORDER BY timestamp
               RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING) AS history_length,
               row_number() OVER (PARTITION BY u, i, task ORDER BY timestamp) AS turn
               FROM log WHERE event_type IN ('click', 'purchase'))
               WHERE task <> 'home_feed' OR u IS NULL OR turn = 1
               ORDER BY timestamp, u, i, task, event_type) TO '{out}/examples.parquet' ''')
print(db.execute(f"SELECT count(*) FROM '{out}/examples.parquet'").fetchone()[0])
"""
"""Ids to numbers, repetitions and future clocks out, histories, ordered events, examples: no checks, no drift, no
quarantine, no checksums, nothing resumable."""


def main(directory: Path) -> None:
    """Simulate the logs, then measure each."""
    command = str(Path(sys.executable).with_name("unified-ranker"))
    rows = []
    for size in SIZES:
        project = directory / f"market-{size}"
        if not project.exists():
            measure(
                command, "simulate", str(project), "--items", str(ITEMS), "--users", str(USERS), "--events", str(size)
            )
        row: dict = {"events": size}
        for engine in ("beam", "dask") if size == SIZES[-1] else ("beam",):
            cost = measure(command, "prepare", "-p", str(project), "--engine", engine, "--force")
            row[engine] = {**plain(cost), "events_per_second": round(size / cost.seconds)}
        with tempfile.TemporaryDirectory(dir=directory) as out:
            cost = measure(sys.executable, "-c", PLAIN_JOB, str(project), out)
        row["duckdb"] = {**plain(cost), "events_per_second": round(size / cost.seconds)}
        row["times_duckdb"] = round(row["beam"]["seconds"] / cost.seconds, 2)
        rows.append(row)
        print(row, flush=True)
    write_result(__file__, {"items": ITEMS, "users": USERS, "sizes": rows})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
