"""What `compare` does and prints."""

import json
from pathlib import Path

from rich.table import Table

from unified_ranker.commands.stages import NOTES, OUT
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import require_writable
from unified_ranker.evaluation.comparison.comparison_report import JSON, summarise_comparison, write
from unified_ranker.evaluation.comparison.comparison_summary import ModelComparison
from unified_ranker.evaluation.comparison.plan import PlannedRun, plan, require_same_requests
from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.project.comparison_runs import run_all
from unified_ranker.project.stages import Pipeline
from unified_ranker.project.workspace import Workspace


def compare_project(
    project: Path, overrides: list[str], seeds: int, variants: list[str], kinds: list[str], output: Path | None,
    as_json: bool, jobs: int,
) -> bool:  # fmt: skip
    """Compare the models of a project; returns whether the joint model keeps its promise on every task."""
    project = project.resolve()
    config = load_config(project, overrides)
    runs = plan(config, seeds, variants, kinds)
    target = output or project / "comparison"
    require_writable(target, "--output")
    for run in runs:
        # Before anything is trained: what the last run declares can be wrong, too.
        try:
            require_same_requests(config, load_config(project, [*overrides, *run.settings]))
        except UserError as error:
            raise UserError(f"what the {run.kind} `{run.name}` sets must be allowed: {error}") from error
    total = len(runs) + 1
    done = 0

    def announce(run: PlannedRun, kept: bool, seconds: float) -> None:
        nonlocal done
        done += 1
        what = "kept from before" if kept else f"{seconds:.0f} s"
        NOTES.print(f"{done} of {total}  {run.name}, seed {run.seed}: {what}", markup=False)

    results = run_all(project, overrides, runs, announce, jobs)
    prepared = Pipeline(Workspace(project, config)).prepared
    found = summarise_comparison(results, prepared, config)
    page = write(found, target)
    if as_json:
        print(json.dumps(json.loads((page.parent / JSON).read_text(encoding="utf-8"))))  # noqa: T201
    else:
        _print(found)
        OUT.print(f"\nreport:  {page}", markup=False)
    return not any(task.verdict.worse for task in found.tasks)


def _print(found: ModelComparison) -> None:
    for task in found.tasks:
        table = Table(title=f"{task.task} ({task.requests:,} requests, {found.part} slice)", title_justify="left")
        for name in ("model", "seeds", *METRICS, "÷ joint"):
            table.add_column(name, justify="left" if name == "model" else "right")
        for line in task.lines:
            numbers = [f"{line.metrics[m].value:.3f}" for m in METRICS]
            r = line.ratio
            ratio = "none" if r is None else f"{r.value:.3f} ({r.low:.2f} to {r.high:.2f})"
            table.add_row(line.name, str(line.seeds), *numbers, ratio)
        OUT.print(table)
        verdict = task.verdict
        if verdict.specialist is not None:
            OUT.print(f"joint ÷ alone: {verdict.specialist.value:.3f}", style="red" if verdict.worse else "green")
