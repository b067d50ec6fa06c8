"""Memory and time of `init` over a log of 10 M events, with and without a part of it that is looked at.

Run: `python benchmarks/init.py [DIRECTORY] [--events 10000000]`. The log is that of `reading.py`, in Parquet.
"""

import sys
import tempfile
from pathlib import Path

from machine import measure, write_result
from reading import WRITE, where_and_how_many

INIT = """
import sys
from pathlib import Path
from unified_ranker.project.init import inspected_part, write_project
source, target, most = sys.argv[1:]
inspected_part.inspected_part.__defaults__ = (int(most),)
columns = ("user_id=visitor", "item_id=product", "event_type=what", "timestamp=moment")
plan = write_project.plan_project(Path(target), write_project.Given({"events": source}, columns=columns))
write_project.write_plan(Path(target), write_project.certain(plan, yes=True))
"""


def main(directory: Path, events: int) -> None:
    """Write a log, and a project for it twice."""
    from unified_ranker.project.init.inspected_part import MOST_INSPECTED

    folder = directory / f"log-{events}"
    if not folder.exists():
        folder.mkdir(parents=True)
        measure(sys.executable, "-c", WRITE, str(folder), str(events))
    rows = []
    for name, most in (("a part", MOST_INSPECTED), ("all events", events)):
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            own = measure(sys.executable, "-c", INIT, str(folder / "log.parquet"), f"{scratch}/project", str(most))
        row = {"looked_at": name, "events": min(most, events), "seconds": own.seconds, "memory_mib": own.together_mib}
        print(row)
        rows.append(row)
    write_result("init", {"events": events, "rows": rows})


if __name__ == "__main__":
    given = where_and_how_many(__doc__)
    main(given.directory, given.events)
