"""Contrastive fine-tuning of a teacher's upper layers."""

from collections.abc import Iterator

import numpy as np

from unified_ranker.config.text_encoders import FineTuning
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.transformer_text import TransformerTextEncoder
from unified_ranker.training.text.descent import Descent, TextBatch, descend
from unified_ranker.training.text.pair_training import TextPairs, contrast


def fine_tune(
    encoder: TransformerTextEncoder,
    pairs: TextPairs,
    settings: FineTuning,
    temperature: float,
    seed: int,
) -> None:
    """Bring queries nearer to the titles that they led to, in the teacher's own space, against the batch's others.

    Only the first declared text feature of an item is read: one text a side keeps a step short.
    """
    if not len(pairs) or not pairs.columns:
        return
    column, teacher = next(iter(pairs.columns.values())), encoder.teacher

    def loss(batch: TextBatch) -> tf.Tensor:
        count = tf.shape(batch["left_out"])[0]
        both = teacher.embed(teacher.tokenise(batch["texts"]))
        return contrast(both[:count], both[count:], batch["left_out"], temperature)

    def batches() -> Iterator[TextBatch]:
        for batch in pairs.batches(settings.steps, settings.batch, 0, seed):
            texts = np.concatenate([pairs.queries[batch["query"]], column[batch["candidates"]]])
            yield {"texts": tf.constant(texts, tf.string), "left_out": tf.constant(batch["left_out"])}

    how = Descent("fine-tuning", settings.steps, settings.learning_rate, settings.max_seconds)
    descend(loss, batches(), teacher.upper(settings.layers), how)
