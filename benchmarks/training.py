"""Training by the declared settings, and what a step costs beside steps of cheaper settings.

Run: `python benchmarks/training.py [--only movielens|travel|retail] [--no-train]`; 25 minutes, alone on its machine.

`train` is the command of that name, from start to end: reading, text pairs, every epoch, calibration. `steps` times the
same batches under one lever at a time, after the graph was traced; a ratio is of the median step as declared.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine import keep, machine, measure, plain
from stepping import stepper

from unified_ranker.declarations.loading import load_config
from unified_ranker.pipeline.stages import Pipeline
from unified_ranker.pipeline.workspace import Workspace, stamp_of

ROOT = Path(__file__).parents[1]
PROJECTS = {"movielens": ROOT, "retail": ROOT / "examples" / "retail", "travel": ROOT / "examples" / "travel"}
LEVERS = {
    "half of the ranking examples": "project.training.ranking_examples=128",
    "half of the candidates": "project.training.ranking_candidates=12",
    "no signals": "towers.ranker.signals=[]",
    "half of the history": "towers.user.history_length=50",
    "no history at all": "towers.user.personal=false",
    "half of the batch": "project.training.batch_examples=1024",
}
STEPS, WARM = 25, 6


def main() -> None:
    """Measure each project, trainings first, and write what there is after each."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--only", choices=PROJECTS)
    arguments.add_argument("--no-train", action="store_true", help="time steps alone")
    given = arguments.parse_args()
    names = [given.only] if given.only else list(PROJECTS)
    before, out = machine(), {name: {} for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        work = {name: f"project.work_dir={scratch}/{name}" for name in names}
        for name in names:
            config = load_config(PROJECTS[name], [work[name]])
            Pipeline(Workspace(PROJECTS[name], config), progress=False).prepare()
        for kind, measured in (("train", trained), ("steps", steps)):
            for name in names if kind == "steps" or not given.no_train else []:
                out[name][kind] = measured(PROJECTS[name], work[name])
                keep("training", out, before)


def trained(project: Path, work: str) -> dict[str, Any]:
    """Run the whole command; returns its cost and what it says of itself."""
    command = str(Path(sys.executable).with_name("unified-ranker"))
    cost = plain(measure(command, "train", "-p", str(project), "--set", work))
    return {**cost, "summary": stamp_of(Path(work.split("=")[1]) / "train")["summary"]}


def steps(project: Path, work: str) -> dict[str, Any]:
    """Time steps as declared, and under each lever."""
    declared = median_step(project, [work])
    others = {name: round(median_step(project, [work, setting]) / declared, 2) for name, setting in LEVERS.items()}
    return {"declared_ms": round(1e3 * declared), "ratio": others}


def median_step(project: Path, overrides: list[str]) -> float:
    """Return the seconds of the median step; batches are made beforehand."""
    step, data = stepper(Pipeline(Workspace(project, load_config(project, overrides)), progress=False))
    seen = [next(data) for _ in range(WARM + STEPS)]
    taken = []
    for batch in seen:
        started = time.perf_counter()
        float(step(batch)["loss"])
        taken.append(time.perf_counter() - started)
    return median(taken[WARM:])


if __name__ == "__main__":
    main()
