"""Quality out of the box: `init` and `build` on each log of a directory, nothing set, against the best baseline.

Run: `python benchmarks/out_of_box.py ../shared/data [--only deskdrop --only grocery]`; about ten minutes a log. A log
is a directory with `events.parquet`, `items.parquet` and perhaps `users.parquet`. The MovieLens project is not among
them: its settings are tuned.

For every task: NDCG@10 and Recall@100 of the joint model and of the best baseline on the test slice, and their ratios.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import RESULTS, keep, machine, measure, plain

from unified_ranker.evaluation.results import Evaluation, TaskEvaluation

MODEL = "joint model"


def main() -> None:
    """Build each log in a scratch directory and keep the table, beside the logs that it has from before."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("logs", type=Path)
    arguments.add_argument("--only", action="append", default=[])
    arguments.add_argument("--keep", type=Path, help="where the projects stay; a scratch directory without")
    given = arguments.parse_args()
    found = sorted(p.parent.name for p in given.logs.glob("*/events.parquet"))
    kept = RESULTS / "out_of_box.json"
    out: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))["logs"] if kept.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in [name for name in found if name in given.only or not given.only]:
            before = machine()
            # Logs may have been built on several days: each has the commit and the load of its own.
            made = {key: before[key] for key in ("commit", "date", "load_before")}
            out[name] = {**made, **built(given.logs / name, (given.keep or Path(scratch)) / name)}
            ratios = [t["ratio"]["ndcg@10"] for log in out.values() for t in log["tasks"].values()]
            mean = math.exp(sum(math.log(max(r, 1e-3)) for r in ratios) / len(ratios))
            keep("out_of_box", {"geometric_mean_ratio": round(mean, 3), "logs": out}, before)


def built(log: Path, project: Path) -> dict[str, Any]:
    """Run `init` and `build` on a log; returns seconds, memory and the tasks' metrics."""
    command = str(Path(sys.executable).with_name("unified-ranker"))
    files = {name: log / f"{name}.parquet" for name in ("events", "items", "users")}
    tables = [f"--{name}={file}" for name, file in files.items() if file.is_file()]
    measure(command, "init", str(project), *tables)
    cost = plain(measure(command, "build", "--project", str(project)))
    file = project / ".unified_ranker" / "evaluate" / "evaluation.json"
    evaluation = Evaluation.from_json(json.loads(file.read_text(encoding="utf-8")))
    tasks = {task.task: against_baselines(task) for task in evaluation.tasks if task.overall is not None}
    return {"build": {k: v for k, v in cost.items() if k != "output"}, "tasks": tasks}


def against_baselines(task: TaskEvaluation) -> dict[str, Any]:
    """Return the model's metrics, the best baseline's by each metric, and the ratios."""
    assert task.overall is not None
    rows = {row.scorer: row for row in task.overall.rows}
    out: dict[str, Any] = {"requests": task.requests, "model": {}, "best": {}, "ratio": {}}
    for metric in ("ndcg@10", "recall@100"):
        own = rows[MODEL].metrics[metric].value
        best = max((row for row in rows.values() if row.kind == "baseline"), key=lambda row: row.metrics[metric].value)
        value = best.metrics[metric].value
        out["model"][metric], out["best"][metric] = round(own, 4), [best.scorer, round(value, 4)]
        out["ratio"][metric] = round(own / value, 3) if value else math.inf
    return out


if __name__ == "__main__":
    main()
