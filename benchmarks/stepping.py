"""A training step by hand, for benchmarks that time it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.stage_context import StageContext

EPOCHS = 20


def stepper(context: StageContext, spill: Path | None = None) -> tuple[Callable[[Any], Any], Iterator[Any]]:
    """Return the compiled step of an untrained model, and the batches of its first `EPOCHS` epochs.

    Args:
        context: of the project; prepared, or it will be now.
        spill: where the windows go when they are more than `training.shard_examples`; None keeps them in memory.
    """
    from unified_ranker.towers.tensorflow import tf
    from unified_ranker.training import training_job as job
    from unified_ranker.training.optimizer import TrainingLength, optimizer_of

    prepared, config = prepared_data(context), context.config
    fit_end = job.fit_end_of(prepared, config)
    model, _, _ = job.build_model(prepared, config, fit_end)
    batches = job.make_batches(prepared, prepared.between(None, fit_end), model, 1, spill)
    model.compile(optimizer=optimizer_of(config, TrainingLength(batches.steps, EPOCHS)))
    job.make_weights(model, batches)
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step, reduce_retracing=True, autograph=False)
    return step, iter(job.dataset_of(batches, 0, EPOCHS))
