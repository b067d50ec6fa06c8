"""Quality out of the box: `init` and `build` on each log of a directory, nothing set, against the best baseline.

Run: `python benchmarks/out_of_box.py ../shared/data [--only deskdrop --only grocery]`; about ten minutes a log. A log
is a directory with `events.parquet`, `items.parquet` and perhaps `users.parquet`. The MovieLens project is not among
them: its settings are tuned.

For every task: NDCG@10 and Recall@100 of the joint model and of the best baseline on the test slice, and their ratios;
and the same for the best of the baselines without those of earlier items (`EARLIER`), which are younger than the rest.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import RESULTS, keep, machine, measure, plain

from unified_ranker.evaluation.results import Evaluation, Row, TaskEvaluation

MODEL = "joint model"
METRICS = ("ndcg@10", "recall@100")
EARLIER = "had before"
"""First words of the names of baselines that offer what the user had before."""


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
            keep("out_of_box", {**{key: mean(out, key) for key in ("ratio", "ratio_to_others")}, "logs": out}, before)


def mean(logs: dict[str, Any], key: str) -> float:
    """Return the geometric mean over all tasks of a ratio of NDCG@10."""
    ratios = [t[key]["ndcg@10"] for log in logs.values() for t in log["tasks"].values() if key in t]
    return round(math.exp(sum(math.log(max(r, 1e-3)) for r in ratios) / max(len(ratios), 1)), 3)


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
    baselines = [row for row in rows.values() if row.kind == "baseline"]
    others = [row for row in baselines if not row.scorer.startswith(EARLIER)]
    best, ratio = beside(rows[MODEL], baselines)
    best_other, ratio_to_others = beside(rows[MODEL], others)
    return {
        "requests": task.requests,
        "model": {metric: round(rows[MODEL].metrics[metric].value, 4) for metric in METRICS},
        "best": best,
        "ratio": ratio,
        "best_other": best_other,
        "ratio_to_others": ratio_to_others,
    }


def beside(model: Row, baselines: list[Row]) -> tuple[dict[str, Any], dict[str, float]]:
    """Return name and value of the best of the baselines by each metric, and the model's ratio to it."""
    best, ratio = {}, {}
    for metric in METRICS:
        found = max(baselines, key=lambda row: row.metrics[metric].value)
        value = found.metrics[metric].value
        best[metric] = [found.scorer, round(value, 4)]
        ratio[metric] = round(model.metrics[metric].value / value, 3) if value else math.inf
    return best, ratio


if __name__ == "__main__":
    main()
