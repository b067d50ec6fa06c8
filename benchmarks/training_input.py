"""How much of a training step is computation: steps on the real input against steps on one batch, over and over.

Run: `python benchmarks/training_input.py`. A step on a batch that is at hand costs computation alone; what a step on
the real input costs beyond that is waiting. Expect at least 85 % computation.
"""

import sys
import tempfile
import time
from pathlib import Path

from machine import measure, write_result
from stepping import stepper

from unified_ranker.config.loading import load_config
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace

STEPS, WARM = 60, 8


def main() -> None:
    """Train a few steps from memory and from shards."""
    command = str(Path(sys.executable).with_name("unified-ranker"))
    out = {}
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "market")
        measure(command, "simulate", str(project), "--items", "20000", "--users", "20000", "--events", "1000000")
        for name, shard in (("memory", 10_000_000), ("shards", 20_000)):
            config = load_config(project, [f"project.training.shard_examples={shard}"])
            out[name] = profile(StageContext(Workspace(project, config)), Path(scratch, name))
            print(name, out[name], flush=True)
    write_result(__file__, {"steps": STEPS, **out})


def profile(context: StageContext, directory: Path) -> dict[str, float]:
    """Return milliseconds of a step, of its computation, of waiting for the next batch, and the share computed."""
    step, data = stepper(context, directory)
    seen = [next(data) for _ in range(WARM + STEPS)]
    for batch in seen:  # traces what there is to trace, and computes without any waiting
        step(batch)
    started = time.perf_counter()
    for batch in seen[WARM:]:
        step(batch)
    computed = time.perf_counter() - started
    waited, started = 0.0, time.perf_counter()
    for _ in range(STEPS):
        before = time.perf_counter()
        batch = next(data)
        waited += time.perf_counter() - before
        step(batch)
    whole = time.perf_counter() - started
    return {
        "step_ms": round(1e3 * whole / STEPS, 1),
        "computation_ms": round(1e3 * computed / STEPS, 1),
        "waiting_ms": round(1e3 * waited / STEPS, 2),
        "share_not_waiting": round(1 - waited / whole, 4),
        "share_computation": round(min(computed / whole, 1.0), 4),
    }


if __name__ == "__main__":
    main()
