"""Training of the text encoder before the joint job, from nothing later than the fit window."""

import numpy as np

from unified_ranker.config import DistilledText, TransformerText
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.transformer_text import TransformerTextEncoder
from unified_ranker.training.text.pair_training import TextPairs, learn_pairs

__all__ = ["prepare_text"]


def prepare_text(model: UnifiedRanker, prepared: Prepared, examples: Examples) -> None:
    """Train the model's text encoder as `towers/item.yaml`, `text` declares; `examples` are those of the fit window.

    - `transformer`: fine-tuned where declared; the projection begins at the principal components of the titles.
    - `distilled`: a teacher is made ready as for `transformer`, then the hashed graph learns to reproduce it.
    - all: the pairs of query and title, for as many steps as `text.pairs` says.
    """
    config, encoder = model.config.towers.item.text, model.text
    pairs = TextPairs.of(model, prepared, examples)
    if isinstance(encoder, TransformerTextEncoder) and isinstance(config, TransformerText):
        make_ready(encoder, config, pairs, model.config.project.seed)
    elif isinstance(config, DistilledText):
        from unified_ranker.training.text.distillation import distil

        stand_in = TransformerText(type="transformer", teacher=config.teacher, pairs=config.pairs)
        teacher = TransformerTextEncoder(stand_in, model.config.towers.item.dim)
        make_ready(teacher, stand_in, pairs, model.config.project.seed)
        learn_pairs(teacher, pairs, stand_in.pairs, model.config.project.seed)
        distil(encoder, teacher, pairs.texts(), config.distillation, model.config.project.seed)
    learn_pairs(encoder, pairs, config.pairs, model.config.project.seed)


def make_ready(encoder: TransformerTextEncoder, config: TransformerText, pairs: TextPairs, seed: int) -> None:
    """Fine-tune the teacher where declared, and begin the projection with the known titles."""
    if config.trainable:
        from unified_ranker.training.text.fine_tuning import fine_tune

        fine_tune(encoder, pairs, config.fine_tuning, config.pairs.temperature, seed)
    titles = np.array([text for text in np.unique(pairs.titles.astype(str)) if text], object)
    encoder.begin_with(encoder.tokenise(tf.constant(titles, tf.string)).parts["vector"].numpy())
