"""Result of a training job."""

from dataclasses import dataclass, field

from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.tasks.blend import FittedBlend


@dataclass(frozen=True)
class TrainedModel:
    """Trained model with the data that it was built from.

    Attributes:
        model: the model.
        vocabulary: its names.
        quality: quality of the items as of any moment.
        fit_end: the end of its fit window, seconds.
        curves: a value for each epoch, by name of the loss.
        blends: fitted blend of each task that has one.
        settings: values of `training` that a race found better than the declared ones, by name.
    """

    model: UnifiedRanker
    vocabulary: Vocabulary
    quality: QualityAsOf
    fit_end: int
    curves: dict[str, list[float]]
    blends: tuple[FittedBlend, ...] = ()
    settings: dict[str, float] = field(default_factory=dict)
