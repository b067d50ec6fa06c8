"""Text encoder `distilled`: the hashed graph, first trained to reproduce a teacher."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import TEXT_ENCODERS, Descent, TextBatch, TextEncoder, TextTrainer
from unified_ranker.towers.text.hashed import Hashing
from unified_ranker.towers.text.transformer import TeacherName, TransformerText
from unified_ranker.towers.text.words import clean


class Distillation(Declaration):
    """Training of the hashed graph to reproduce its teacher."""

    steps: int = Field(1500, ge=1)
    """Training steps."""
    batch: int = Field(512, ge=1)
    """Texts in a step."""
    learning_rate: float = Field(1e-2, gt=0)
    """Learning rate."""


@TEXT_ENCODERS.declare
class DistilledText(Hashing):
    """The hashed graph, first trained to reproduce a teacher on titles, queries and single words of the fit window."""

    extra: ClassVar[str | None] = "text"

    type: Literal["distilled"]
    teacher: TeacherName = "minilm"
    """`minilm`: all-MiniLM-L6-v2, English. `use`: multilingual Universal Sentence Encoder, 16 languages."""
    distillation: Distillation = Distillation()
    """Training by the teacher."""

    def pretrain(self, encoder: TextEncoder, trainer: TextTrainer) -> None:
        """See `TextEncoding.pretrain`: a teacher is trained as `transformer` is, then the encoder to reproduce it."""
        stand_in = TransformerText(type="transformer", teacher=self.teacher, pairs=self.pairs)
        teacher = stand_in.build(trainer.dim, trainer.pairs.titles)
        stand_in.pretrain(teacher, trainer)
        trainer.learn_pairs(teacher, stand_in.pairs)
        distil(encoder, teacher, trainer.pairs.texts(), self.distillation, trainer)

    def describe(self) -> str:
        """See `TextEncoding.describe`."""
        return f"{self.type}, teacher {self.teacher}"


def distil(
    student: TextEncoder,
    teacher: TextEncoder,
    texts: np.ndarray,
    settings: Distillation,
    trainer: TextTrainer,
) -> None:
    """Train `student` to return the vectors of `teacher` for `texts` `[n]`, and for each of their words alone.

    Single words teach synonyms directly: the student sums the vectors of words, so each must have its own meaning.
    """
    corpus = np.unique(np.concatenate([texts.astype(str), words_of(texts).astype(str)])).astype(object)
    strings = tf.constant(corpus, tf.string)
    targets, tokens = teacher(strings), student.tokenise(strings)

    def loss(batch: TextBatch) -> tf.Tensor:
        given = student.embed(tokens.at(batch["rows"]))
        return 1.0 - tf.reduce_mean(tf.reduce_sum(given * tf.gather(targets, batch["rows"]), 1))

    rng = np.random.default_rng([trainer.seed, 2])
    batches = ({"rows": tf.constant(rng.integers(0, len(corpus), settings.batch))} for _ in range(settings.steps))
    trainer.descend(loss, batches, student.learnt, Descent("distillation", settings.steps, settings.learning_rate))


def words_of(texts: np.ndarray) -> np.ndarray:
    """Return the distinct words of `texts` `[n]`, split as in the hashed graph."""
    words = tf.strings.split(clean(tf.constant(texts, tf.string))).flat_values.numpy()
    return np.array(sorted({word.decode() for word in words}), object)
