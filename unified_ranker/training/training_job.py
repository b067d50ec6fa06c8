"""The training job: prepared data in, trained model out, resumable at every epoch."""

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
from unified_ranker.signals.signals import Signals
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.callbacks import EpochCheckpoints, EpochProgress, StopOnNaN, restore_text
from unified_ranker.training.continuing import GENTLE, Start, grown, require_same_places, take_over, what_is_new
from unified_ranker.training.distribution import distribution_of
from unified_ranker.training.example_labels import labels_of
from unified_ranker.training.optimizer import TrainingLength, optimizer_of
from unified_ranker.training.spilled_batches import SpilledBatches
from unified_ranker.training.text import prepare_text
from unified_ranker.training.trained import TrainedModel
from unified_ranker.training.window_batches import WindowBatches

logger = logging.getLogger(__name__)

PREFETCHED = 4
"""Batches that are made while a step computes."""
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
    """Build an untrained model over what is known before `fit_end` (seconds), seeded by the project.

    It is to learn from `tasks` alone; from all without.
    """
    if config.project.training.threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.project.training.threads)
    tf.keras.utils.set_random_seed(config.project.training_seed)
    vocabulary = vocabulary or build_vocabulary(prepared, config, fit_end)
    quality = quality_of(prepared, config, fit_end)
    catalogue = build_catalogue(prepared, config, fit_end, quality, tasks)
    model = UnifiedRanker(config, vocabulary, catalogue, quality.gather, Signals(config, prepared, fit_end))
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
    """Train the joint model, or only `tasks` of it, in one `fit`; continues from the last whole epoch in `checkpoints`.

    With `start`, a release's training goes on: on what is new since, gently, from the release's weights. The fit window
    ends at `end` (seconds); without, as `split.fit_on` says. `watched` makes a callback that may cut the job short.

    Raises:
        UserError: when no example lies in the fit window, or the loss stops being a number.
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
    spread = distribution_of(config)
    known = None
    if start is not None:
        require_same_places(start, prepared)
        examples = what_is_new(examples, start, config)
        known = grown(start.vocabulary, build_vocabulary(prepared, config, fit_end))
    with spread.strategy.scope():
        model, vocabulary, quality = build_model(prepared, config, fit_end, known, tasks)
        if start is None and not restore_text(model, checkpoints):
            prepare_text(model, prepared, examples)
        # A task alone gets the steps of the joint model, each with its part of the batch.
        share = len(examples) / everything if tasks else 1.0
        batches = make_batches(prepared, examples, model, spread.replicas, checkpoints / "windows", share)
        steps = batches.steps // spread.replicas
        length = TrainingLength(steps, config.project.training.epochs)
        model.compile(optimizer=optimizer_of(config, length, 1.0 if start is None else GENTLE))
        optimizer = model.optimizer
        model.retrieval.follow(lambda: tf.cast(optimizer.iterations, tf.float32) / length.steps)
        make_weights(model, batches)
        if start is not None:
            take_over(model, start)
        model.optimizer.build(model.trainable_variables)
        saver = EpochCheckpoints(model, spread.own(checkpoints))
        done = saver.restore()
        if watched is not None:
            callbacks = (*callbacks, watched(model, quality, length))
    epochs = length.epochs
    logger.info("%d examples, %d steps an epoch, %d of %d epochs done", len(examples), steps, done, epochs)
    model.fit(
        spread.dataset(lambda replica: dataset_of(batches, done, epochs, replica, spread.replicas)),
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
    """Look `examples` up and cut them into windows; leaves the tokens of their queries with the model.

    Args:
        prepared: the prepared log.
        examples: what to train on.
        model: looks names up.
        replicas: into how many parts a batch is cut.
        spill: where the windows go when they are more than `training.shard_examples`; None keeps them in memory.
        share: of the declared batch; below 1 where `examples` are a part of what the joint model learns from.
    """
    request, queries = look_up_requests(prepared, examples, model)
    model.query_tokens = queries.tokens
    model.query_words = model.signals.words(tf.constant(queries.texts, tf.string))
    looked_up = TrainingExamples(request, queries.number, labels_of(examples, model.config))
    training = model.config.project.training
    batch = max(round(training.batch_examples * share), 1)
    if replicas > 1:
        # As many steps as on one device, of as many parts as there are replicas: none is left over.
        steps = -(-len(examples) // batch)
        batch = -(-len(examples) // (steps * replicas))
    config = with_batch(model.config, batch)
    whole = WindowBatches(prepared, examples, look_up_events(prepared, model), looked_up, config)
    if spill is None or len(examples) <= training.shard_examples:
        return whole
    return SpilledBatches(whole, prepared, config, spill, training.shard_examples)


def with_batch(config: Config, examples: int) -> Config:
    """Return the declarations with batches of so many examples."""
    training = config.project.training.model_copy(update={"batch_examples": examples})
    return config.model_copy(update={"project": config.project.model_copy(update={"training": training})})


def make_weights(model: UnifiedRanker, batches: Batches) -> None:
    """Make the weights that Keras 2 leaves to a layer's first call.

    A checkpoint then finds all of them. And TensorFlow traces a function that makes variables twice: this way a
    training step is traced once.
    """
    batch = {name: tf.constant(column) for name, column in next(batches.epoch(0)).by_name().items()}
    # As a replica, where there are several: outside of them the metrics cannot be added to.
    tf.distribute.get_strategy().run(lambda: model.compute_loss(batch, training=False))
    model.reset_metrics()


def dataset_of(batches: Batches, first: int, last: int, replica: int = 0, replicas: int = 1) -> tf.data.Dataset:
    """Stream the batches of epochs `first` to `last` - 1, by the names of their columns; of replicas those of one."""

    def produce() -> Iterator[Arrays]:
        for epoch in range(first, last):
            whole = batches.steps // replicas * replicas
            for batch in islice(batches.epoch(epoch), replica, whole, replicas):
                yield batch.by_name()

    targets = next(batches.epoch(0)).examples.labels.targets
    spec = TrainingBatch.spec(targets.shape[1]).by_name()
    return tf.data.Dataset.from_generator(produce, output_signature=spec).prefetch(PREFETCHED)
