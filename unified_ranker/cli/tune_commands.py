"""Commands that search settings on the validation slice: `tune` and `tune-quality`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_ranker.cli.app import MEASURING, app
from unified_ranker.cli.console import print_json, print_table, remark, say
from unified_ranker.cli.options import JsonOption, ProjectOption, SetOption
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.config import Config
    from unified_ranker.evaluation.quality_weight_fit import FittedWeights
    from unified_ranker.evaluation.ranking_strength_fit import FittedStrength
    from unified_ranker.evaluation.tuning.search_space import Value
    from unified_ranker.project.tuning_study import Tried

STUDY_FILE, BEST_FILE = "study.db", "tuned.set"
BEST_TRIALS = 5
SHOWN_STRENGTHS = (0.0, 0.5, 1.0, 1.5)
"""Strengths whose NDCG@10 is printed; `--json` has all."""


@app.command("tune", rich_help_panel=MEASURING)
def tune_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Minutes for all trials together, earlier runs included.")
    ] = 60.0,
    trials: Annotated[int | None, typer.Option(min=1, help="Highest number of trials, earlier ones included.")] = None,
    space: Annotated[
        Path | None, typer.Option(help="YAML file of the settings and the values to try; by default the usual ones.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File of the best settings, for --set @FILE; by default tuned.set of the project."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search settings on the validation slice, with models that saw the train slice alone.

    The first trial has the declared settings. The value of a trial is the mean over tasks of its NDCG@10 divided by
    that of the declared settings. A search that was interrupted or killed continues; more minutes search further. A
    space is a file such as

        project.training.learning_rate: {low: 0.001, high: 0.01, log: true}
        towers.item.dim: {choices: [32, 64, 128]}

    Example: `unified-ranker tune --project examples/travel --minutes 120`
    """
    from unified_ranker.config.loading import load_config
    from unified_ranker.core.files import clear_drafts, require_writable, write_whole
    from unified_ranker.evaluation.tuning.search_space import assignments, fit_space, read_space
    from unified_ranker.project.comparison_runs import COMPARISON_FOLDER
    from unified_ranker.project.one_build import one_build
    from unified_ranker.project.prepare_stage import prepare_stage
    from unified_ranker.project.stage_context import StageContext
    from unified_ranker.project.tuning_study import Search
    from unified_ranker.project.workspace import Workspace

    project, sets = project.resolve(), list(overrides or [])
    settings = [*sets, *_on_validation(load_config(project, sets))]
    target = output or project / BEST_FILE
    require_writable(target.parent, "--output")
    if target.is_dir():
        raise UserError(f"`--output` must be a file. Received: `{target}`, a directory. Name a file in it.")
    config = load_config(project, settings)
    searched, declared = fit_space(None if space is None else read_space(space), project, settings, config)
    context = StageContext(Workspace(project, config))

    def moved(chosen: "Mapping[str, Value]") -> list[str]:
        return [line for line in assignments(chosen) if line not in assignments(declared)]

    with one_build(context):
        prepare_stage(context)
        clear_drafts(context.workspace.stage(COMPARISON_FOLDER))
        study, key = context.workspace.work / STUDY_FILE, context.keys.evaluate
        search = Search(project, settings, searched, declared, study, key, config.project.training_seed)

        def begin(number: int, chosen: "Mapping[str, Value]") -> None:
            remark(f"trial {number}: {', '.join(moved(chosen)) or 'the declared settings'}")

        def end(tried: "Tried") -> None:
            spent = sum(t.seconds for t in search.tried) / 60
            found = f"{tried.value:.4f}" if tried.value is not None else f"failed: {tried.failure}"
            best = f"best {search.best.value:.4f}, trial {search.best.number}"
            remark(f"trial {tried.number}: {found} in {tried.seconds:.0f} s; {best}; {spent:.1f} of {minutes:g} min")

        search.run(minutes, trials, begin, end)
    best, lines = search.best, moved(search.best.settings)
    header = (
        f"# trial {best.number} of {len(search.tried)}: {best.value:.4f} times the NDCG@10 of the declared settings, "
        "on the validation slice"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, "\n".join([header, *lines]) + "\n")
    if as_json:
        tried = [asdict(trial) for trial in search.tried]
        print_json({"best": asdict(best), "set": lines, "file": str(target), "trials": tried})
    else:
        _print_trials(search.tried, lines, target)


def _print_trials(tried: "list[Tried]", lines: list[str], target: Path) -> None:
    tasks = list(dict.fromkeys(task for trial in tried for task in trial.ndcg))
    ended = [trial for trial in tried if trial.value is not None]
    best = sorted(ended, key=lambda t: -(t.value or 0.0))[:BEST_TRIALS]
    print_table(
        "NDCG@10 on the validation slice, the best trials and the declared settings",
        ["trial", "value", *tasks, "seconds"],
        [
            [str(t.number), f"{t.value:.4f}", *(f"{t.ndcg.get(task, float('nan')):.4f}" for task in tasks),
             f"{t.seconds:.0f}"]
            for t in [*best, ended[0]]
        ],
        left=(),
    )  # fmt: skip
    if not lines:
        say("no trial was better than the declared settings")
        return
    for line in lines:
        say(f"--set '{line}'")
    say(f"\nall of them:  --set @{target}")


@app.command("tune-quality", rich_help_panel=MEASURING)
def tune_quality_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Sets of weights to try for each task.")] = 150,
    requests: Annotated[int, typer.Option(min=1, help="Requests of the validation slice to try them on.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """Fit each task's quality weights and ranking strength on the validation slice, with a model of the train slice.

    It prints the lines for tasks/*.yaml; Recall@100 of retrieval with no weights, the declared and the fitted ones;
    and NDCG@10 of the ranking by its strength: how much of what the head adds to retrieval counts.

    Example: `unified-ranker tune-quality --project examples/travel`
    """
    from unified_ranker.config.loading import load_config
    from unified_ranker.project.quality_tuning import tune_quality
    from unified_ranker.project.stage_context import StageContext
    from unified_ranker.project.workspace import Workspace

    project, sets = project.resolve(), list(overrides or [])
    declared = load_config(project, sets)
    if not declared.towers.item.quality:
        raise UserError(
            "`towers/item.yaml` must declare `quality` features. Received: none. Add one, such as "
            "`popularity: {type: popularity}`."
        )
    strengths = {name: task.ranking_strength for name, task in declared.tasks.items()}
    # A strength is applied after training, so one model with strength 1 shows the effect of every other.
    whole = [f"tasks.{task}.ranking_strength=1.0" for task in strengths]
    config = load_config(project, [*sets, *whole, *_on_validation(declared)])
    found = tune_quality(StageContext(Workspace(project, config)), trials, requests)
    if as_json:
        print_json([{**asdict(weights), "ranking": asdict(strength)} for weights, strength in found])
    else:
        _print_quality(found, strengths)


def _print_quality(found: "list[tuple[FittedWeights, FittedStrength]]", declared: dict[str, float]) -> None:
    import yaml

    print_table(
        "Recall@100 of retrieval on the validation slice",
        ["task", "requests", "no weights", "declared", "fitted"],
        [
            [weights.task, f"{weights.requests:,}",
             *(f"{weights.recall[kind]:.3f}" for kind in ("none", "declared", "fitted"))]
            for weights, _ in found
        ],
    )  # fmt: skip
    print_table(
        "NDCG@10 of the ranking on the same requests, with the declared weights, by strength",
        ["task", *(f"{strength:.1f}" for strength in SHOWN_STRENGTHS), "declared", "fitted"],
        [
            [weights.task, *(f"{fitted.ndcg[s]:.3f}" for s in SHOWN_STRENGTHS), f"{declared[weights.task]:g}",
             f"{fitted.strength:g}"]
            for weights, fitted in found
        ],
    )  # fmt: skip
    for weights, fitted in found:
        kept = {name: weight for name, weight in weights.weights.items() if weight >= 0.005}
        for setting in ({"quality_weights": kept}, {"ranking_strength": fitted.strength}):
            text = yaml.safe_dump(setting, default_flow_style=True, sort_keys=False, width=10_000)
            say(f"tasks/{weights.task}.yaml:  {text.strip()[1:-1]}")


def _on_validation(declared: "Config") -> list[str]:
    """Return the settings that measure on the validation slice, in a work directory below the project's own.

    A trial is of the settings that it has: none is changed by a race.
    """
    work = declared.project.work_dir / "tuning"
    return [
        "project.split.fit_on=train", "project.evaluation.part=validation", "project.training.race=false",
        f"project.work_dir={json.dumps(str(work))}",
    ]  # fmt: skip
