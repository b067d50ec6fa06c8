"""The training job: prepared data in, trained model out, resumable at every epoch."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unified_ranker.catalogue import build_catalogue, quality_of
from unified_ranker.config import Config
from unified_ranker.data.batches import Batch, WindowBatches
from unified_ranker.data.examples import Examples
from unified_ranker.data.prepared import Prepared
from unified_ranker.data.quality import QualityAsOf
from unified_ranker.data.vocabulary import Vocabulary, build_vocabulary
from unified_ranker.errors import UserError
from unified_ranker.lookups import look_up_events, look_up_examples
from unified_ranker.ranker import UnifiedRanker
from unified_ranker.signals.signals import Signals
from unified_ranker.tensorflow import tf
from unified_ranker.training.callbacks import EpochCheckpoints, StopOnNaN, restore_text
from unified_ranker.training.text import prepare_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedModel:
    """A model with what it was built from; `curves` holds one value an epoch for each logged loss."""

    model: UnifiedRanker
    vocabulary: Vocabulary
    quality: QualityAsOf
    fit_end: int
    curves: dict[str, list[float]]


def fit_end_of(prepared: Prepared, config: Config) -> int:
    """Return the end of the fit window in seconds, as `project.split.fit_on` says."""
    split = prepared.split
    return split.train_end if config.project.split.fit_on == "train" else split.validation_end


def build_model(
    prepared: Prepared, config: Config, fit_end: int, vocabulary: Vocabulary | None = None
) -> tuple[UnifiedRanker, Vocabulary, QualityAsOf]:
    """Build an untrained model over what is known before `fit_end` (seconds), seeded by the project."""
    if config.project.training.threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.project.training.threads)
    tf.keras.utils.set_random_seed(config.project.training_seed)
    vocabulary = vocabulary or build_vocabulary(prepared, config, fit_end)
    quality = quality_of(prepared, config, fit_end)
    catalogue = build_catalogue(prepared, config, fit_end, quality)
    model = UnifiedRanker(config, vocabulary, catalogue, quality.gather, Signals(config, prepared, fit_end))
    return model, vocabulary, quality


def train(
    prepared: Prepared,
    config: Config,
    checkpoints: Path,
    tasks: tuple[str, ...] = (),
    callbacks: tuple[tf.keras.callbacks.Callback, ...] = (),
) -> TrainedModel:
    """Train the joint model, or only `tasks` of it, in one `fit`; continues from the last whole epoch in `checkpoints`.

    Raises:
        UserError: when no example lies in the fit window, or the loss stops being a number.
    """
    fit_end = fit_end_of(prepared, config)
    examples = prepared.between(None, fit_end)
    everything = len(examples)
    if tasks:
        examples = examples.take(np.isin(examples.task, tasks))
    if not len(examples):
        raise UserError(
            f"the fit window holds no positive of {', '.join(tasks or config.tasks)}. "
            "Raise `split.train` in project.yaml, or bring a longer log."
        )
    model, vocabulary, quality = build_model(prepared, config, fit_end)
    if not restore_text(model, checkpoints):
        prepare_text(model, prepared, examples, progress=bool(callbacks))
    batches = make_batches(prepared, examples, model, everything)
    epochs = config.project.training.epochs
    steps = batches.steps
    model.compile(optimizer=optimizer_of(config, steps * epochs))
    make_weights(model, batches)
    model.optimizer.build(model.trainable_variables)
    saver = EpochCheckpoints(model, checkpoints)
    done = saver.restore()
    logger.info("%d examples, %d steps an epoch, %d of %d epochs done", len(examples), steps, done, epochs)
    model.fit(
        dataset_of(batches, done, epochs),
        initial_epoch=done,
        epochs=epochs,
        steps_per_epoch=steps,
        callbacks=[StopOnNaN(batches), saver, *callbacks],
        verbose=0,
    )
    return TrainedModel(model, vocabulary, quality, fit_end, saver.curves)


def make_batches(
    prepared: Prepared, examples: Examples, model: UnifiedRanker, everything: int | None = None
) -> WindowBatches:
    """Look `examples` up and cut them into windows; leaves the tokens of their queries with the model.

    Where they are a part of `everything` in the fit window, batches hold as many fewer: a task alone gets the steps
    that the joint model gets, each with this task's part of its batch.
    """
    looked_up, model.query_tokens, queries = look_up_examples(prepared, examples, model)
    model.query_words = model.signals.words(tf.constant(queries, tf.string))
    share = len(examples) / max(everything or len(examples), 1)
    size = max(round(model.config.project.training.batch_examples * share), 8)
    return WindowBatches(prepared, examples, look_up_events(prepared, model), looked_up, model.config, size)


def make_weights(model: UnifiedRanker, batches: WindowBatches) -> None:
    """Make the weights that Keras 2 leaves to a layer's first call.

    A checkpoint then finds all of them. And TensorFlow traces a function that makes variables twice: this way a
    training step is traced once.
    """
    batch = next(batches.epoch(0))
    model.compute_loss({name: tf.constant(column) for name, column in batch.items()}, training=False)
    model.reset_metrics()


def dataset_of(batches: WindowBatches, first: int, last: int) -> tf.data.Dataset:
    """Stream the batches of epochs `first` to `last` - 1."""

    def produce() -> Iterator[Batch]:
        for epoch in range(first, last):
            yield from batches.epoch(epoch)

    example = next(batches.epoch(0))
    signature = {
        name: tf.TensorSpec(
            [None, column.shape[1]] if name in ("targets", "decay") else [None] * column.ndim,
            tf.float32 if column.dtype.kind == "f" else tf.int64,
        )
        for name, column in example.items()
    }
    return tf.data.Dataset.from_generator(produce, output_signature=signature).prefetch(2)


def optimizer_of(config: Config, steps: int) -> tf.keras.optimizers.Optimizer:
    """AdamW with linear warm-up and cosine decay over `steps`, gradients clipped by global norm."""
    training = config.project.training
    warm = max(int(steps * training.warmup_share), 1)
    schedule = tf.keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - warm, 1), alpha=0.05, warmup_target=training.learning_rate, warmup_steps=warm
    )
    return tf.keras.optimizers.AdamW(
        schedule, weight_decay=training.weight_decay, global_clipnorm=training.clip_norm, beta_2=0.99
    )
