"""What the stage commands do and print."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from unified_ranker.commands.metric_tables import metric_tables
from unified_ranker.config import MovieLensSource
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.stages import Pipeline, StageResult
from unified_ranker.project.workspace import Workspace

if TYPE_CHECKING:
    from unified_ranker.log.check import Check

OUT = Console(soft_wrap=True, highlight=False)
NOTES = Console(soft_wrap=True, highlight=False, stderr=True)
"""For remarks that are no answer, so that `--json` stays JSON."""


def open_pipeline(
    project: Path,
    overrides: list[str] | None,
    source: Path | None = None,
    tasks: list[str] | None = None,
    force: Collection[str] = (),
) -> Pipeline:
    """Load a project's declarations and return its pipeline, which runs the stages named in `force` in any case."""
    sets = list(overrides or [])
    config = load_config(project, sets)
    if source is not None:
        data = config.project.data
        if not isinstance(data, MovieLensSource):
            raise UserError(
                f"`--source` names MovieLens data, and `project.yaml` declares `data.type: {data.type}`. "
                "Set project.data.events and project.data.items instead."
            )
        config = load_config(project, [*sets, f"project.data.path={json.dumps(str(source.resolve()))}"])
    names = tuple(name.strip() for part in tasks or () for name in part.split(",") if name.strip())
    if tasks and not names:
        raise UserError(f"`--tasks` names no task. Known: {', '.join(f'`{t}`' for t in config.tasks)}.")
    return Pipeline(Workspace(project.resolve(), config), names, force)


def print_checks(checks: "Iterable[Check]", as_json: bool) -> None:
    """Print one line per check."""
    if as_json:
        typer.echo(json.dumps([{"line": c.line(), "failed": c.failed} for c in checks], indent=2))
        return
    for check in checks:
        OUT.print(check.line(), markup=False, style="red" if check.failed else "")


def print_result(result: StageResult, as_json: bool) -> None:
    """Print what a stage did."""
    if as_json:
        typer.echo(json.dumps({**asdict(result), "output": str(result.output)}))
    else:
        OUT.print(stage_line(result), markup=False)


def stage_line(result: StageResult) -> str:
    """Return a stage's result as a line: name, time or "up to date", summary."""
    took = "up to date" if result.skipped else f"{result.seconds:.1f} s"
    return f"{result.name:<9} {took:>10}  {result.summary}"


def print_evaluation(pipeline: Pipeline, as_json: bool) -> None:
    """Print the main table of the evaluation, a table per task."""
    from unified_ranker.project.reporting import metrics_of, read_evaluation

    evaluation = read_evaluation(pipeline.workspace.stage("evaluate"))
    if as_json:
        typer.echo(json.dumps(metrics_of(evaluation), indent=2))
        return
    for title, header, rows in metric_tables(evaluation):
        table = Table(title=title, title_justify="left")
        for name in header:
            table.add_column(name, justify="left" if name == header[0] else "right")
        for row in rows:
            table.add_row(*row)
        OUT.print(table)


def run_build(pipeline: Pipeline, as_json: bool) -> None:
    """Run all stages in order and print each as it ends."""
    with pipeline.claimed(releases=True):
        _run_build(pipeline, as_json)


def _run_build(pipeline: Pipeline, as_json: bool) -> None:
    source = pipeline.config.project.data
    if isinstance(source, MovieLensSource) and not as_json:
        from unified_ranker.log.movielens import TERMS

        OUT.print(TERMS + "\n", markup=False)
    checks = pipeline.validate()
    failed = [check.line() for check in checks if check.failed]
    if failed:
        if as_json:
            print_checks(checks, as_json)
        raise UserError("\n".join([*failed, "Nothing was written. `unified-ranker validate` lists every check."]))
    warnings = [check.line() for check in checks if not check.passed]
    if not as_json:
        OUT.print(f"validate: {len(checks)} checks, {len(warnings)} warnings", markup=False)
        for line in warnings:
            OUT.print(f"  {line}", markup=False, style="yellow")
    for stage in (pipeline.prepare, pipeline.train, pipeline.evaluate, pipeline.export):
        result = stage()
        if not as_json:
            print_result(result, as_json=False)
    release = pipeline.results[-1].output
    verified = pipeline.verify(release)
    if as_json:
        typer.echo(json.dumps([{**asdict(r), "output": str(r.output)} for r in pipeline.results], indent=2))
        return
    print_result(verified, as_json=False)
    print_evaluation(pipeline, as_json=False)
    OUT.print(f"\nrelease: {release}\nreport:  {release / 'report.html'}", markup=False)
