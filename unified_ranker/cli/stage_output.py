"""Output of the stages: their results, the quality of the log, the metrics of the evaluation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_ranker.cli.console import Tone, print_json, print_table, say, warn

if TYPE_CHECKING:
    from unified_ranker.evaluation.results import Evaluation
    from unified_ranker.project.stage_context import StageResult


def print_result(result: "StageResult", as_json: bool) -> None:
    """Print the result of a stage: its name, its time or "up to date", a summary."""
    if as_json:
        print_json(result_document(result))
        return
    took = "up to date" if result.skipped else f"{result.seconds:.1f} s"
    say(f"{result.name:<9} {took:>10}  {result.summary}")


def result_document(result: "StageResult") -> dict[str, Any]:
    """Return the result of a stage as JSON values."""
    return {**asdict(result), "output": str(result.output)}


def print_evaluation(evaluation: "Evaluation", as_json: bool) -> None:
    """Print a table for each task, scorers by metric with half of the 95 % interval after ±, then the verdicts."""
    from unified_ranker.evaluation.metrics import METRICS
    from unified_ranker.evaluation.overall_metrics import OverallMetrics
    from unified_ranker.evaluation.verdict import verdicts_of

    if as_json:
        print_json(OverallMetrics.of(evaluation).model_dump())
        warn_of_losses(evaluation)
        return
    for task in evaluation.tasks:
        if task.overall is None:
            say(f"{task.task}: {task.remark}")
            continue
        derived = ", derived requests" if task.derived else ""
        rows = [
            [
                row.scorer,
                *(f"{m.value:.3f} ±{(m.high - m.low) / 2:.3f}" for m in (row.metrics[name] for name in METRICS)),
            ]
            for row in task.overall.rows
        ]
        title = f"{task.task} ({task.requests:,} of {task.available:,} {evaluation.part} requests{derived})"
        print_table(title, ["scorer", *METRICS], rows)
    for found in verdicts_of(evaluation):
        tone: Tone = "good" if not found.below else "bad" if found.certain else "warning"
        say(found.line, tone)
    warn_of_losses(evaluation)


def warn_of_losses(evaluation: "Evaluation") -> None:
    """Warn where the model is below the best simple method of a task."""
    from unified_ranker.evaluation.verdict import verdicts_of

    below = [found.task for found in verdicts_of(evaluation) if found.below]
    if below:
        warn(f"below the best simple method: {', '.join(below)}. `build --require-baseline` refuses to release that.")


def print_quality(directory: Path) -> None:
    """Print the quality of the prepared log: counts, the checks that did not pass, the drift of every column."""
    from unified_ranker.prepare.log_quality import LogQuality
    from unified_ranker.project.project_preparation import DRIFT_PLOT, QUALITY_FILE, QUARANTINE_FILE

    file = directory / QUALITY_FILE
    if not file.is_file():
        return
    quality = LogQuality.of_json(json.loads(file.read_text(encoding="utf-8")))
    events = quality.events
    say(
        f"events: {events.read:,} read, {events.kept:,} kept, {events.out_of_order:,} out of order, "
        f"{events.repeated:,} repeated"
    )
    for rule, rows in events.quarantined.items():
        say(f"  {rows:,} events quarantined: they break the rule: {rule}", "warning")
    for line in quality.checks:
        if not line.startswith("PASS"):
            say(f"  {line}", "warning")
    print_table(
        "drift: the last 20 % of the events against those before",
        ["column", "PSI", "by growth", "", "most changed", "before", "after"],
        [
            [
                moved.column,
                f"{moved.psi:.3f}",
                f"{moved.growth:.3f}" if moved.growth else "",
                moved.verdict,
                moved.most,
                f"{moved.before:.1%}",
                f"{moved.after:.1%}",
            ]
            for moved in quality.drift
        ],
        left=("column", "", "most changed"),
    )
    say(f"details: {file}; plot: {directory / DRIFT_PLOT}")
    if (directory / QUARANTINE_FILE).is_file():
        say(f"quarantined rows: {directory / QUARANTINE_FILE}")
