"""Stage `train`: the joint model, or a model of chosen tasks."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_ranker.config import Config
from unified_ranker.project.data_needs import require_enough_data
from unified_ranker.project.holdout import Holdout, learn_from_holdout
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.run_stage import run_stage
from unified_ranker.project.settings_race import with_training
from unified_ranker.project.stage_context import StageContext, StageResult

if TYPE_CHECKING:
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.training.trained import TrainedModel


def train_stage(context: StageContext) -> StageResult:
    """Train the joint model, or the chosen tasks of it; resumes an interrupted training."""
    checkpoints = context.workspace.work / "checkpoints" / context.keys.train

    def make(draft: Path, notes: dict[str, Any]) -> str:
        prepared, start = prepared_data(context), context.lineage.read("start")
        trained = train_model(prepared, context.config, context.tasks, checkpoints, start)
        from unified_ranker.training.trained_files import save_trained

        save_trained(trained, draft)
        context.memory.trained = trained
        notes["curves"] = trained.curves
        done, most = len(trained.curves["loss"]), context.config.project.training.epochs
        epochs = f"{done} of at most {most}" if done < most else f"{done}"
        return f"{epochs} epochs, loss {trained.curves['loss'][-1]:.3f}"

    result = run_stage(context, "train", context.keys.train, make)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return result


def up_to_date_model(context: StageContext) -> "TrainedModel":
    """Return the trained model, trained now where it is not up to date."""
    train_stage(context)
    if context.memory.trained is None:
        from unified_ranker.training.trained_files import load_trained

        directory = context.workspace.stage("train")
        context.memory.trained = load_trained(directory, prepared_data(context), context.config)
    return context.memory.trained


def train_model(
    prepared: "Prepared",
    config: Config,
    tasks: Sequence[str],
    checkpoints: Path,
    start: Path | None = None,
) -> "TrainedModel":
    """Train a model from the last epoch of an interrupted training on, with its blend, and calibrate it.

    A model that goes on from a release keeps the release's blend.

    Args:
        prepared: the data.
        config: the declarations.
        tasks: to train for; all when empty.
        checkpoints: where the epochs are kept.
        start: a release to continue from, if any.

    Raises:
        UserError: the log has too little data for the declarations.
    """
    require_enough_data(prepared, config, tasks)
    # Imported after the checks, because TensorFlow takes seconds to import.
    from unified_ranker.evaluation.calibrate import calibrate
    from unified_ranker.training.continuing import read_start
    from unified_ranker.training.training_job import train

    begin = None if start is None else read_start(start)
    training, found = config.project.training, Holdout()
    if start is None and (training.blend or training.patience or training.minutes):
        found = learn_from_holdout(prepared, config, tasks, checkpoints / "holdout")
    trained = train(prepared, with_training(config, found.training), checkpoints, tuple(tasks), start=begin)
    numbers = {name: number for number, name in enumerate(config.tasks, start=1)}
    trained.model.blend.assign({numbers[blend.task]: blend for blend in found.blends})
    trained = replace(trained, blends=found.blends, settings=dict(found.settings))
    calibrate(trained, prepared, tuple(tasks))
    return trained
