"""Comparison of all runs of a project, written as `comparison.json` and `comparison.html`."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from unified_ranker.config import Config
from unified_ranker.core.files import write_whole
from unified_ranker.evaluation.comparison.comparison_page import render_comparison
from unified_ranker.evaluation.comparison.comparison_summary import Cost, ModelComparison, compare_task
from unified_ranker.evaluation.comparison.run_result import RunResult
from unified_ranker.evaluation.comparison.transfer import transfers
from unified_ranker.evaluation.protocol import fit_end, sample, window
from unified_ranker.evaluation.slices import cut
from unified_ranker.prepare.prepared import Prepared

JSON, HTML = "comparison.json", "comparison.html"
_ADAPTER: TypeAdapter[ModelComparison] = TypeAdapter(ModelComparison)


def summarise_comparison(results: Sequence[RunResult], prepared: Prepared, config: Config) -> ModelComparison:
    """Summarise all runs."""
    evaluation = config.project.evaluation
    start, end = window(prepared, evaluation.part)
    measured = prepared.between(start, end)
    found = []
    for task in config.tasks:
        requests = sample(measured.take(measured.task == task), task, config)
        parts = list(cut(requests, prepared, config))
        found.append(compare_task(task, results, evaluation.bootstrap_samples, config.project.seed, parts))
    joint = next((r for r in results if r.run.kind == "joint"), None)
    past = prepared.between(None, fit_end(prepared, config, evaluation.part))
    return ModelComparison(
        project=config.project.name,
        part=evaluation.part,
        config_digest=config.digest(),
        seeds=len({r.run.seed for r in results if r.run.kind == "joint"}),
        text_encoder=config.towers.item.text.type,
        derived=tuple(name for name, task in config.tasks.items() if task.derived),
        tasks=tuple(task for task in found if task is not None),
        transfers=tuple(transfers(past, list(config.tasks), len(prepared.items))),
        costs=tuple(
            Cost(r.run.name, r.run.seed, r.train_seconds, r.evaluate_seconds, r.peak_memory_mib) for r in results
        ),
        curves={} if joint is None else joint.curves,
    )


def write_comparison(found: ModelComparison, directory: Path) -> Path:
    """Write JSON and page into `directory`, each whole or not at all; returns the page."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_ADAPTER.dump_python(found, mode="json"), indent=2, allow_nan=False)
    page = render_comparison(found)
    write_whole(directory / JSON, text + "\n")
    write_whole(directory / HTML, page)
    return directory / HTML
