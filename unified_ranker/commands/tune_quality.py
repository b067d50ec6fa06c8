"""What `tune-quality` does and prints."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml
from rich.table import Table
from tqdm import tqdm

from unified_ranker.commands.stages import OUT
from unified_ranker.declarations.loading import load_config
from unified_ranker.errors import UserError
from unified_ranker.pipeline.stages import Pipeline
from unified_ranker.pipeline.workspace import Workspace

ON_VALIDATION = ["project.split.fit_on=train", "project.evaluation.part=validation"]


def tune_quality(project: Path, overrides: list[str], trials: int, requests: int, as_json: bool) -> None:
    """Fit quality weights on the validation slice, with a model that was trained on the train slice alone."""
    from unified_ranker.evaluation.candidates import CandidateRules
    from unified_ranker.evaluation.protocol import window
    from unified_ranker.evaluation.quality_weights import RetrievalScores, fit_weights
    from unified_ranker.evaluation.scoring import RequestEncoder

    config = load_config(project.resolve(), [*overrides, *ON_VALIDATION, "project.work_dir=.unified_ranker/tuning"])
    names = list(config.towers.item.quality)
    if not names:
        raise UserError(
            "`towers/item.yaml` must declare `quality` features to weigh. Received none. Add one, such as "
            "`popularity: {type: popularity}`."
        )
    pipeline = Pipeline(Workspace(project.resolve(), config), (), not as_json)
    trained, prepared = pipeline.trained, pipeline.prepared
    encoder, rules = RequestEncoder(trained.model, prepared, trained.quality), CandidateRules(prepared, config)
    examples = prepared.between(*window(prepared, "validation"))
    found = []
    for task in config.tasks:
        of_task = examples.take(examples.task == task)
        if not len(of_task):
            continue
        random = np.random.default_rng(config.project.seed)
        chosen = np.sort(random.permutation(len(of_task))[:requests])
        scores = RetrievalScores(encoder, rules, of_task.take(chosen))
        with tqdm(total=trials, desc=f"tune {task}", unit="trial", disable=as_json) as bar:
            found.append(fit_weights(scores, task, names, trials, config.project.seed, tell=bar.update))
    if as_json:
        print(json.dumps([asdict(f) for f in found]))  # noqa: T201
        return
    table = Table(title="Recall@100 of retrieval on the validation slice", title_justify="left")
    for name in ("task", "requests", "no weights", "declared", "fitted"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for fitted in found:
        numbers = [f"{fitted.recall[kind]:.3f}" for kind in ("none", "declared", "fitted")]
        table.add_row(fitted.task, f"{fitted.requests:,}", *numbers)
    OUT.print(table)
    for fitted in found:
        kept = {name: weight for name, weight in fitted.weights.items() if weight >= 0.005}
        text = yaml.safe_dump({"quality_weights": kept}, default_flow_style=True, sort_keys=False, width=10_000)
        OUT.print(f"tasks/{fitted.task}.yaml:  {text.strip()[1:-1]}", markup=False)
