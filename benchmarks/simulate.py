"""`simulate` with 1 M items: events/s, all of it streamed to Parquet.

Run: `python benchmarks/simulate.py`. Expect at least 100,000 events/s on 2 cores, and memory that the events do
not move.
"""

import sys
import tempfile
from pathlib import Path

from machine import measure, plain, write_result


def main() -> None:
    """Simulate 1 M and 10 M events."""
    command = str(Path(sys.executable).with_name("unified-ranker"))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in (1_000_000, 10_000_000):
            sizes = ("--items", "1000000", "--users", "200000", "--events", str(size))
            cost = measure(command, "simulate", str(Path(scratch, str(size))), *sizes)
            rows.append({"events": size, **plain(cost), "events_per_second": round(size / cost.seconds)})
    write_result(__file__, {"items": 1_000_000, "users": 200_000, "sizes": rows})


if __name__ == "__main__":
    main()
