"""Training by the declared settings, and what a step costs beside steps of cheaper settings.

Run: `python benchmarks/training.py [--only movielens|travel|retail] [--no-train]`; 35 minutes, alone on its machine.
Each project has a result of its own.

`train` is the command of that name, from start to end: reading, text pairs, every epoch, calibration. `steps` times the
same batches with one setting changed at a time, after the graph was traced; a ratio is to the median step as declared.
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

from unified_ranker.config.loading import load_config
from unified_ranker.project.prepare_stage import prepare_stage
from unified_ranker.project.stage_cache import stamp_of
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace

ROOT = Path(__file__).parents[1]
PROJECTS = {"movielens": ROOT, "retail": ROOT / "examples" / "retail", "travel": ROOT / "examples" / "travel"}
CHEAPER = {
    "half of the ranking examples": "project.training.ranking_examples=128",
    "half of the candidates": "project.training.ranking_candidates=12",
    "no signals": "towers.ranker.signals=[]",
    "half of the history": "towers.user.history_length=50",
    "no history at all": "towers.user.personal=false",
    "half of the batch": "project.training.batch_examples=1024",
}
STEPS, WARM = 25, 6


def main() -> None:
    """Measure each project and write its result, the training before the steps are timed."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--only", choices=PROJECTS)
    arguments.add_argument("--no-train", action="store_true", help="time steps alone")
    given = arguments.parse_args()
    measured = {"steps": steps} if given.no_train else {"train": trained, "steps": steps}
    for name in [given.only] if given.only else PROJECTS:
        before, out = machine(), {}
        with tempfile.TemporaryDirectory() as scratch:
            work = f"project.work_dir={scratch}"
            prepare_stage(StageContext(Workspace(PROJECTS[name], load_config(PROJECTS[name], [work]))))
            for kind, measure_it in measured.items():
                out[kind] = measure_it(PROJECTS[name], work)
                keep(f"training_{name}", out, before)


def trained(project: Path, work: str) -> dict[str, Any]:
    """Run the whole command; returns its cost and what it says of itself."""
    command = str(Path(sys.executable).with_name("unified-ranker"))
    cost = plain(measure(command, "train", "-p", str(project), "--set", work))
    return {**cost, "summary": stamp_of(Path(work.split("=")[1]) / "train")["summary"]}


def steps(project: Path, work: str) -> dict[str, Any]:
    """Time steps as declared, and with each cheaper setting."""
    declared = median_step(project, [work])
    others = {name: round(median_step(project, [work, setting]) / declared, 2) for name, setting in CHEAPER.items()}
    return {"declared_ms": round(1e3 * declared), "ratio": others}


def median_step(project: Path, overrides: list[str]) -> float:
    """Return the seconds of the median step; batches are made beforehand."""
    step, data = stepper(StageContext(Workspace(project, load_config(project, overrides))))
    seen = [next(data) for _ in range(WARM + STEPS)]
    taken = []
    for batch in seen:
        started = time.perf_counter()
        float(step(batch)["loss"])
        taken.append(time.perf_counter() - started)
    return median(taken[WARM:])


if __name__ == "__main__":
    main()
