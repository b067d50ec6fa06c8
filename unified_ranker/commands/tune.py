"""What `tune` does and prints."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from unified_ranker.commands.stages import NOTES, OUT
from unified_ranker.commands.tune_quality import ON_VALIDATION
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import clear_drafts, require_writable, write_whole
from unified_ranker.evaluation.tuning.search_space import Value, assignments, fit_space, read_space
from unified_ranker.project.comparison_runs import DIRECTORY
from unified_ranker.project.stages import Pipeline
from unified_ranker.project.tuning_study import Search, Tried
from unified_ranker.project.workspace import Workspace

DATABASE, FILE = "study.db", "tuned.set"
SHOWN = 5


def tune_project(
    project: Path, overrides: list[str], minutes: float, trials: int | None, space: Path | None, output: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Search settings of a project on its validation slice, and write the best."""
    project = project.resolve()
    own = load_config(project, overrides)
    target = output or project / FILE
    require_writable(target.parent, "--output")
    if target.is_dir():
        raise UserError(f"`--output` must be a file. Received: `{target}`, a directory. Name a file in it.")
    work = own.project.work_dir / "tuning"
    settings = [*overrides, *ON_VALIDATION, f"project.work_dir={json.dumps(str(work))}"]
    config = load_config(project, settings)
    searched, declared = fit_space(None if space is None else read_space(space), project, settings, config)
    pipeline = Pipeline(Workspace(project, config))
    with pipeline.claimed():
        pipeline.prepare()
        clear_drafts(pipeline.workspace.stage(DIRECTORY))
        place = pipeline.workspace.work / DATABASE
        search = Search(
            project, settings, searched, declared, place, pipeline.evaluate_key, config.project.training_seed
        )

        def begin(number: int, chosen: dict[str, Value]) -> None:
            moved = [line for line in assignments(chosen) if line not in assignments(declared)]
            NOTES.print(f"trial {number}: {', '.join(moved) or 'the declared settings'}", markup=False)

        def end(tried: Tried) -> None:
            spent = sum(t.seconds for t in search.tried) / 60
            found = f"{tried.value:.4f}" if tried.value is not None else f"failed: {tried.failure}"
            best = f"best {search.best.value:.4f}, trial {search.best.number}"
            NOTES.print(
                f"trial {tried.number}: {found} in {tried.seconds:.0f} s; {best}; {spent:.1f} of {minutes:g} min",
                markup=False,
            )

        search.run(minutes, trials, begin, end)
    best = search.best
    lines = [line for line in assignments(best.settings) if line not in assignments(declared)]
    header = f"# trial {best.number} of {len(search.tried)}: {best.value:.4f} times the declared settings, validation"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, "\n".join([header, *lines]) + "\n")
    if as_json:
        trials_ = [asdict(t) for t in search.tried]
        print(json.dumps({"best": asdict(best), "set": lines, "file": str(target), "trials": trials_}))  # noqa: T201
        return
    _print(search.tried, lines, target)


def _print(tried: list[Tried], lines: list[str], target: Path) -> None:
    tasks = list(dict.fromkeys(task for trial in tried for task in trial.ndcg))
    table = Table(
        title="NDCG@10 on the validation slice, the best trials and the declared settings", title_justify="left"
    )
    for name in ("trial", "value", *tasks, "seconds"):
        table.add_column(name, justify="right")
    ended = [trial for trial in tried if trial.value is not None]
    for trial in [*sorted(ended, key=lambda t: -(t.value or 0.0))[:SHOWN], ended[0]]:
        numbers = [f"{trial.ndcg.get(task, float('nan')):.4f}" for task in tasks]
        table.add_row(str(trial.number), f"{trial.value:.4f}", *numbers, f"{trial.seconds:.0f}")
    OUT.print(table)
    if not lines:
        OUT.print("nothing was better than the declared settings")
        return
    for line in lines:
        OUT.print(f"--set '{line}'", markup=False)
    OUT.print(f"\nall of them:  --set @{target}", markup=False)
