"""The hashed graph learns to reproduce a teacher."""

import numpy as np

from unified_ranker.config.text_encoders import Distillation
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import TextEncoder
from unified_ranker.towers.text.hashed_text import NO_WORD
from unified_ranker.towers.text.transformer_text import TransformerTextEncoder
from unified_ranker.training.text.descent import Descent, TextBatch, descend


def distil(
    student: TextEncoder,
    teacher: TransformerTextEncoder,
    texts: np.ndarray,
    settings: Distillation,
    seed: int,
) -> None:
    """Train `student` to give the vectors of `teacher` for `texts` `[n]`, and for each of their words alone.

    Single words teach synonyms directly: in a sum of words, each must already lie where its own meaning does.
    """
    corpus = np.unique(np.concatenate([texts.astype(str), words_of(texts).astype(str)])).astype(object)
    strings = tf.constant(corpus, tf.string)
    targets, tokens = teacher(strings), student.tokenise(strings)

    def loss(batch: TextBatch) -> tf.Tensor:
        given = student.embed(tokens.at(batch["rows"]))
        return 1.0 - tf.reduce_mean(tf.reduce_sum(given * tf.gather(targets, batch["rows"]), 1))

    rng = np.random.default_rng([seed, 2])
    batches = ({"rows": tf.constant(rng.integers(0, len(corpus), settings.batch))} for _ in range(settings.steps))
    descend(loss, batches, student.learnt, Descent("distillation", settings.steps, settings.learning_rate))


def words_of(texts: np.ndarray) -> np.ndarray:
    """Return the distinct words of `texts` `[n]`, as the hashed graph parts them."""
    clean = tf.strings.regex_replace(tf.strings.lower(tf.constant(texts, tf.string), encoding="utf-8"), NO_WORD, " ")
    words = tf.strings.split(clean).flat_values.numpy()
    return np.array(sorted({word.decode() for word in words}), object)
