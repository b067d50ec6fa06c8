"""Minimisation of a loss over some weights: the loop of all trainings of the text encoder alone."""

import logging
import time
from collections.abc import Callable, Iterable

from unified_ranker.core.progress import Progress
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import Descent, TextBatch
from unified_ranker.training.optimizer import LAST_RATE, FusedAdamW

logger = logging.getLogger(__name__)


def descend(
    loss: Callable[[TextBatch], tf.Tensor],
    batches: Iterable[TextBatch],
    weights: list[tf.Variable],
    how: Descent,
) -> None:
    """Minimise `loss` of `batches` over `weights` by AdamW; the learning rate falls to `LAST_RATE` of its start."""
    schedule = tf.keras.optimizers.schedules.CosineDecay(how.learning_rate, max(how.steps, 1), LAST_RATE)
    optimizer = FusedAdamW(schedule, 1e-4, global_clipnorm=1.0)

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(batch: TextBatch) -> tf.Tensor:
        # Only these are watched, so that no gradient is computed for the layers below them.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            value = loss(batch)
        optimizer.apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))
        return value

    optimizer.build(weights)
    started = time.perf_counter()
    with Progress(how.title, how.steps, "steps") as progress:
        for done, batch in enumerate(batches, start=1):
            value = float(step(batch))
            progress.advance(note=f"loss {value:.3f}")
            if time.perf_counter() - started > how.max_seconds and done < how.steps:
                logger.warning(
                    "%s: stopped after %d of %d steps, at %.0f s", how.title, done, how.steps, how.max_seconds
                )
                break
