"""Text encoder `transformer`: a pre-trained sentence encoder in the served graph, under a trained projection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np
from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import (
    TEXT_ENCODERS,
    Descent,
    TextBatch,
    TextEncoder,
    TextEncoding,
    TextTrainer,
)
from unified_ranker.towers.text.pairs import contrast

if TYPE_CHECKING:
    from unified_ranker.towers.text.transformer_encoder import TransformerTextEncoder

TeacherName = Literal["minilm", "use"]


class FineTuning(Declaration):
    """Contrastive fine-tuning of the teacher's last layers on pairs."""

    layers: int = Field(2, ge=1)
    """Last layers of the teacher that are trained."""
    steps: int = Field(200, ge=1)
    """Training steps."""
    batch: int = Field(48, ge=2)
    """Pairs in a step."""
    learning_rate: float = Field(5e-5, gt=0)
    """Learning rate."""
    max_seconds: float = Field(180.0, gt=0)
    """Seconds after which it ends at the latest."""


@TEXT_ENCODERS.declare
class TransformerText(TextEncoding):
    """Teacher in the served graph, under a trained projection."""

    extra: ClassVar[str | None] = "text"
    serves_text_ops: ClassVar[bool] = True

    type: Literal["transformer"]
    teacher: TeacherName = "minilm"
    """`minilm`: all-MiniLM-L6-v2, English. `use`: multilingual Universal Sentence Encoder, 16 languages."""
    trainable: bool = False
    """Whether the teacher's last layers are fine-tuned before the joint job, in which they are frozen."""
    fine_tuning: FineTuning = FineTuning()
    """Fine-tuning of the teacher, with `trainable: true`."""
    residual: int = Field(512, ge=0)
    """Hidden units of the trained projection beside its linear part; 0: linear."""
    max_tokens: int = Field(128, ge=3, le=512)
    """Word pieces after which a text is cut."""

    def build(self, dim: int, titles: np.ndarray) -> TransformerTextEncoder:
        """See `TextEncoding.build`."""
        del titles
        from unified_ranker.towers.text.teachers import build_teacher
        from unified_ranker.towers.text.transformer_encoder import TransformerTextEncoder

        teacher = build_teacher(self.teacher, self.max_tokens)
        return TransformerTextEncoder(dim, teacher, self.residual, self.fine_tuning.layers if self.trainable else 0)

    def pretrain(self, encoder: TextEncoder, trainer: TextTrainer) -> None:
        """See `TextEncoding.pretrain`: fine-tuning if declared, then the start of the projection from known titles."""
        own = cast("TransformerTextEncoder", encoder)
        if self.trainable:
            fine_tune(own, self.fine_tuning, self.pairs.temperature, trainer)
        titles = np.array([text for text in np.unique(trainer.pairs.titles.astype(str)) if text], object)
        own.begin_with(own.tokenise(tf.constant(titles, tf.string)).parts["vector"].numpy())

    def describe(self) -> str:
        """See `TextEncoding.describe`."""
        return f"{self.type}, teacher {self.teacher}{' (fine-tuned)' if self.trainable else ''}"


def fine_tune(encoder: TransformerTextEncoder, settings: FineTuning, temperature: float, trainer: TextTrainer) -> None:
    """Fine-tune the teacher: a query finds the title that it led to among the titles of the batch.

    Only the first declared text feature of an item is read, which keeps a step short.
    """
    pairs = trainer.pairs
    if not len(pairs) or not pairs.columns:
        return
    column, teacher = next(iter(pairs.columns.values())), encoder.teacher

    def loss(batch: TextBatch) -> tf.Tensor:
        count = tf.shape(batch["left_out"])[0]
        both = teacher.embed(teacher.tokenise(batch["texts"]))
        return contrast(both[:count], both[count:], batch["left_out"], temperature)

    def batches() -> Iterator[TextBatch]:
        for batch in pairs.batches(settings.steps, settings.batch, 0, trainer.seed):
            texts = np.concatenate([pairs.queries[batch["query"]], column[batch["candidates"]]])
            yield {"texts": tf.constant(texts, tf.string), "left_out": tf.constant(batch["left_out"])}

    how = Descent("fine-tuning", settings.steps, settings.learning_rate, settings.max_seconds)
    trainer.descend(loss, batches(), teacher.upper(settings.layers), how)
