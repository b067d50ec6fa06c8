"""Result of a training job."""

from dataclasses import dataclass

from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.prepare.vocabulary import Vocabulary


@dataclass(frozen=True)
class TrainedModel:
    """A model with what it was built from; `curves` holds one value an epoch for each logged loss."""

    model: UnifiedRanker
    vocabulary: Vocabulary
    quality: QualityAsOf
    fit_end: int
    curves: dict[str, list[float]]
