"""What `tune-quality` does and prints."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from rich.table import Table

from unified_ranker.commands.stages import OUT
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.stages import Pipeline
from unified_ranker.project.workspace import Workspace

if TYPE_CHECKING:
    from unified_ranker.evaluation.quality_weight_fit import FittedWeights
    from unified_ranker.evaluation.ranking_strength_fit import FittedStrength

SHOWN = (0.0, 0.5, 1.0, 1.5)
"""Strengths whose NDCG@10 is printed; `--json` has all."""
ON_VALIDATION = ["project.split.fit_on=train", "project.evaluation.part=validation"]


def tune_quality(project: Path, overrides: list[str], trials: int, requests: int, as_json: bool) -> None:
    """Fit quality weights and ranking strengths on the validation slice, by a model of the train slice alone."""
    from unified_ranker.evaluation.candidates import CandidateRules
    from unified_ranker.evaluation.protocol import window
    from unified_ranker.evaluation.quality_weight_fit import RetrievalScores, fit_weights
    from unified_ranker.evaluation.ranking_strength_fit import fit_strength
    from unified_ranker.evaluation.scoring import RequestEncoder

    declared = load_config(project.resolve(), overrides)
    names = list(declared.towers.item.quality)
    if not names:
        raise UserError(
            "`towers/item.yaml` must declare `quality` features to weigh. Received none. Add one, such as "
            "`popularity: {type: popularity}`."
        )
    # Strengths count once a model is trained: with 1 for all, one model shows what each would do.
    whole = [f"tasks.{task}.ranking_strength=1.0" for task in declared.tasks]
    config = load_config(
        project.resolve(), [*overrides, *whole, *ON_VALIDATION, "project.work_dir=.unified_ranker/tuning"]
    )
    pipeline = Pipeline(Workspace(project.resolve(), config))
    trained, prepared = pipeline.trained, pipeline.prepared
    encoder, rules = RequestEncoder(trained.model, prepared, trained.quality), CandidateRules(prepared, config)
    examples = prepared.between(*window(prepared, "validation"))
    found, strengths = [], []
    for task in config.tasks:
        of_task = examples.take(examples.task == task)
        if not len(of_task):
            continue
        random = np.random.default_rng(config.project.seed)
        chosen = np.sort(random.permutation(len(of_task))[:requests])
        sampled = of_task.take(chosen)
        strengths.append(fit_strength(encoder, rules, sampled, task))
        scores = RetrievalScores(encoder, rules, sampled)
        found.append(fit_weights(scores, task, names, trials, config.project.seed))
    pairs = list(zip(found, strengths, strict=True))
    if as_json:
        print(json.dumps([{**asdict(f), "ranking": asdict(s)} for f, s in pairs]))  # noqa: T201
        return
    _print(pairs, {task: declared.tasks[task].ranking_strength for task in declared.tasks})


def _print(pairs: "list[tuple[FittedWeights, FittedStrength]]", declared: dict[str, float]) -> None:
    _table(
        "Recall@100 of retrieval on the validation slice",
        ("task", "requests", "no weights", "declared", "fitted"),
        [
            (f.task, f"{f.requests:,}", *(f"{f.recall[k]:.3f}" for k in ("none", "declared", "fitted")))
            for f, _ in pairs
        ],
    )
    _table(
        "NDCG@10 of the ranking on the same requests, behind the declared weights, by strength",
        ("task", *(f"{s:.1f}" for s in SHOWN), "declared", "fitted"),
        [
            (
                f.task,
                *(f"{s.ndcg[x]:.3f}" for x in SHOWN),
                f"{declared[f.task]:g}",
                f"{s.strength:g}",
            )
            for f, s in pairs
        ],
    )
    for fitted, strength in pairs:
        kept = {name: weight for name, weight in fitted.weights.items() if weight >= 0.005}
        for setting in ({"quality_weights": kept}, {"ranking_strength": strength.strength}):
            text = yaml.safe_dump(setting, default_flow_style=True, sort_keys=False, width=10_000)
            OUT.print(f"tasks/{fitted.task}.yaml:  {text.strip()[1:-1]}", markup=False)


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left")
    for name in heads:
        table.add_column(name, justify="left" if name == "task" else "right")
    for row in rows:
        table.add_row(*row)
    OUT.print(table)
