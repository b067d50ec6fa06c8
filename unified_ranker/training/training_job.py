"""Training job: from prepared data to a trained model, resumable at every epoch."""

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import Arrays
from unified_ranker.core.errors import UserError
from unified_ranker.model.catalogue import build_catalogue, quality_of
from unified_ranker.model.inputs import TrainingBatch, TrainingExamples
from unified_ranker.model.lookups import look_up_events, look_up_requests
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared, fit_end_of
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.prepare.vocabulary import Vocabulary, build_vocabulary
from unified_ranker.signals.signals import SignalLayer
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.callbacks import EpochCheckpoints, EpochProgress, StopOnNaN, restore_text
from unified_ranker.training.continuing import (
    CONTINUED_RATE,
    Start,
    extended_vocabulary,
    load_weights,
    new_examples,
    require_same_indices,
)
from unified_ranker.training.distribution import distribution_of
from unified_ranker.training.example_labels import labels_of
from unified_ranker.training.optimizer import TrainingLength, optimizer_of
from unified_ranker.training.spilled_batches import SpilledBatches
from unified_ranker.training.text import prepare_text
from unified_ranker.training.trained import TrainedModel
from unified_ranker.training.window_batches import WindowBatches

logger = logging.getLogger(__name__)

PREFETCHED = 4
"""Number of batches that are prepared during a step."""
Batches = WindowBatches | SpilledBatches
Watched = Callable[[UnifiedRanker, QualityAsOf, TrainingLength], tf.keras.callbacks.Callback]
"""Makes the callback that watches a job: it has the model, the quality of items, and the length, which it may cut."""


def build_model(
    prepared: Prepared,
    config: Config,
    fit_end: int,
    vocabulary: Vocabulary | None = None,
    tasks: tuple[str, ...] = (),
) -> tuple[UnifiedRanker, Vocabulary, QualityAsOf]:
    """Build an untrained model over the data before `fit_end` (seconds), with the project's seed.

    It will learn from `tasks`; from all tasks if there are none.
    """
    if config.project.training.threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.project.training.threads)
    tf.keras.utils.set_random_seed(config.project.training_seed)
    vocabulary = vocabulary or build_vocabulary(prepared, config, fit_end)
    quality = quality_of(prepared, config, fit_end)
    catalogue = build_catalogue(prepared, config, fit_end, quality, tasks)
    model = UnifiedRanker(config, vocabulary, catalogue, quality.gather, SignalLayer(config, prepared, fit_end))
    return model, vocabulary, quality


def train(
    prepared: Prepared,
    config: Config,
    checkpoints: Path,
    tasks: tuple[str, ...] = (),
    callbacks: tuple[tf.keras.callbacks.Callback, ...] = (),
    start: Start | None = None,
    end: int | None = None,
    watched: Watched | None = None,
) -> TrainedModel:
    """Train the joint model, or only `tasks` of it; resume after the last whole epoch in `checkpoints`.

    With `start`, continue a release's training: from its weights, on newer examples, at a lower learning rate. The fit
    window ends at `end` (seconds), by default as `split.fit_on` declares. `watched` makes a callback that may shorten
    the job.

    Raises:
        UserError: no example is in the fit window, or the loss becomes infinite or NaN.
    """
    fit_end = fit_end_of(prepared, config) if end is None else end
    examples = prepared.between(None, fit_end)
    everything = len(examples)
    if tasks:
        examples = examples.take(np.isin(examples.task, tasks))
    if not len(examples):
        raise UserError(
            f"the fit window holds no positive of {', '.join(tasks or config.tasks)}. "
            "Raise `split.train` in project.yaml, or bring a longer log."
        )
    distribution = distribution_of(config)
    known = None
    if start is not None:
        require_same_indices(start, prepared)
        examples = new_examples(examples, start, config)
        known = extended_vocabulary(start.vocabulary, build_vocabulary(prepared, config, fit_end))
    with distribution.strategy.scope():
        model, vocabulary, quality = build_model(prepared, config, fit_end, known, tasks)
        if start is None and not restore_text(model, checkpoints):
            prepare_text(model, prepared, examples)
        # A task that is trained alone has as many steps as the joint model, each with its share of the batch.
        share = len(examples) / everything if tasks else 1.0
        batches = make_batches(prepared, examples, model, distribution.replicas, checkpoints / "windows", share)
        steps = batches.steps // distribution.replicas
        length = TrainingLength(steps, config.project.training.epochs)
        model.compile(optimizer=optimizer_of(config, length, 1.0 if start is None else CONTINUED_RATE))
        optimizer = model.optimizer
        model.retrieval.set_progress(lambda: tf.cast(optimizer.iterations, tf.float32) / length.steps)
        make_weights(model, batches)
        if start is not None:
            load_weights(model, start)
        model.optimizer.build(model.trainable_variables)
        saver = EpochCheckpoints(model, distribution.checkpoints(checkpoints))
        done = saver.restore()
        if watched is not None:
            callbacks = (*callbacks, watched(model, quality, length))
    epochs = length.epochs
    logger.info("%d examples, %d steps an epoch, %d of %d epochs done", len(examples), steps, done, epochs)
    model.fit(
        distribution.dataset(lambda replica: dataset_of(batches, done, epochs, replica, distribution.replicas)),
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=steps,
        callbacks=[StopOnNaN(batches), saver, EpochProgress(), *callbacks],
        verbose=0,
    )
    return TrainedModel(model, vocabulary, quality, fit_end, saver.curves)


def make_batches(
    prepared: Prepared,
    examples: Examples,
    model: UnifiedRanker,
    replicas: int = 1,
    spill: Path | None = None,
    share: float = 1.0,
) -> Batches:
    """Look up `examples` and cut them into windows; set the tokens of their queries in the model.

    Args:
        prepared: the prepared log.
        examples: training examples.
        model: model that looks up names.
        replicas: number of parts of a batch.
        spill: directory of the windows if there are more than `training.shard_examples` examples; None: memory.
        share: share of the declared batch; below 1 if `examples` are a part of the joint model's.
    """
    request, queries = look_up_requests(prepared, examples, model)
    model.query_tokens = queries.tokens
    model.query_words = model.signals.words(tf.constant(queries.texts, tf.string))
    looked_up = TrainingExamples(request, queries.number, labels_of(examples, model.config))
    training = model.config.project.training
    batch = max(round(training.batch_examples * share), 1)
    if replicas > 1:
        # As many steps as on one device, each of one part for every replica, so that no part is left over.
        steps = -(-len(examples) // batch)
        batch = -(-len(examples) // (steps * replicas))
    config = with_batch(model.config, batch)
    whole = WindowBatches(prepared, examples, look_up_events(prepared, model), looked_up, config)
    if spill is None or len(examples) <= training.shard_examples:
        return whole
    return SpilledBatches(whole, prepared, config, spill, training.shard_examples)


def with_batch(config: Config, examples: int) -> Config:
    """Return the declarations with batches of `examples` examples."""
    training = config.project.training.model_copy(update={"batch_examples": examples})
    return config.model_copy(update={"project": config.project.model_copy(update={"training": training})})


def make_weights(model: UnifiedRanker, batches: Batches) -> None:
    """Make the weights that Keras 2 makes at a layer's first call.

    Checkpoints need all weights, and TensorFlow would trace a training step that makes variables twice.
    """
    batch = {name: tf.constant(column) for name, column in next(batches.epoch(0)).by_name().items()}
    # Run as a replica, because metrics of several replicas cannot be updated outside of one.
    tf.distribute.get_strategy().run(lambda: model.compute_loss(batch, training=False))
    model.reset_metrics()


def dataset_of(batches: Batches, first: int, last: int, replica: int = 0, replicas: int = 1) -> tf.data.Dataset:
    """Return the batches of epochs `first` to `last` - 1 for one replica, as dictionaries of columns."""

    def produce() -> Iterator[Arrays]:
        for epoch in range(first, last):
            whole = batches.steps // replicas * replicas
            for batch in islice(batches.epoch(epoch), replica, whole, replicas):
                yield batch.by_name()

    targets = next(batches.epoch(0)).examples.labels.targets
    spec = TrainingBatch.spec(targets.shape[1]).by_name()
    return tf.data.Dataset.from_generator(produce, output_signature=spec).prefetch(PREFETCHED)
