"""A million items and ten million events from nothing to a release, on 2 cores and 24 GiB.

Run: `python benchmarks/end_to_end.py DIRECTORY [--items N --events N --users N]`. Stages that are up to date are
skipped, so an interrupted run goes on; delete DIRECTORY to measure everything.
"""

import argparse
import json
import sys
from pathlib import Path

from machine import measure, plain, write_result

from unified_ranker.project.stage_cache import stamp_of


def main() -> None:
    """Run the stages one after the other, then compare with the ceiling."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("directory", type=Path)
    for name, value in (("items", 1_000_000), ("users", 200_000), ("events", 10_000_000)):
        arguments.add_argument(f"--{name}", type=int, default=value)
    given = arguments.parse_args()
    command = str(Path(sys.executable).with_name("unified-ranker"))
    project, stages = given.directory, {}
    if not project.exists():
        sizes = [f"--{name}={getattr(given, name)}" for name in ("items", "users", "events")]
        stages["simulate"] = plain(measure(command, "simulate", str(project), *sizes))
    for stage in ("prepare", "train", "evaluate", "export"):
        stages[stage] = plain(measure(command, stage, "-p", str(project)))
        print(stage, stages[stage], flush=True)
        folder = project / ".unified_ranker" / stage
        if (folder / "stamp.json").is_file():
            stages[stage]["summary"] = stamp_of(folder)["summary"]
    ceiling = json.loads(measure(command, "ceiling", "-p", str(project), "--json").output)
    reached = {
        task: {
            "ceiling_ndcg@10": row["ceiling"]["ndcg@10"],
            "reached_ndcg@10": {name: scored["ndcg@10"] for name, scored in row["reached"].items()},
            "share_of_ceiling": row["share_of_ceiling"],
        }
        for task, row in ceiling.items()
    }
    sizes = {name: getattr(given, name) for name in ("items", "users", "events")}
    write_result(__file__, {**sizes, "stages": stages, "ceiling": reached})


if __name__ == "__main__":
    main()
