"""Training of the text encoder before the joint job, as its declaration says."""

from collections.abc import Callable, Iterable

from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import Descent, TextBatch, TextEncoder, TextPairSettings
from unified_ranker.towers.text.pairs import TextPairs
from unified_ranker.training.text.descent import descend
from unified_ranker.training.text.pair_training import learn_pairs, pairs_of


def prepare_text(model: UnifiedRanker, prepared: Prepared, examples: Examples) -> None:
    """Train the model's text encoder as `text` in towers/item.yaml declares; `examples` are those of the fit window."""
    config = model.config.towers.item.text
    dim, seed = model.config.towers.item.dim, model.config.project.seed
    trainer = EncoderTrainer(pairs_of(model, prepared, examples), dim, seed)
    config.pretrain(model.text, trainer)
    trainer.learn_pairs(model.text, config.pairs)


class EncoderTrainer:
    """See `TextTrainer`."""

    def __init__(self, pairs: TextPairs, dim: int, seed: int) -> None:
        """Set the pairs, the width of the vectors and the seed."""
        self.pairs, self.dim, self.seed = pairs, dim, seed

    def descend(
        self,
        loss: Callable[[TextBatch], tf.Tensor],
        batches: Iterable[TextBatch],
        weights: list[tf.Variable],
        how: Descent,
    ) -> None:
        """See `TextTrainer.descend`."""
        descend(loss, batches, weights, how)

    def learn_pairs(self, encoder: TextEncoder, settings: TextPairSettings) -> None:
        """See `TextTrainer.learn_pairs`."""
        learn_pairs(encoder, self.pairs, settings, self.seed)
