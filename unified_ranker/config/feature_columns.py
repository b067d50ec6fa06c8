"""The columns that the towers read, and the features of the quality vector."""

from typing import Annotated, Any, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import OneOf
from unified_ranker.core.times import DAY

_TYPES = "unified_ranker.towers.feature_types.base"
ItemFeature = Annotated[Any, OneOf(f"{_TYPES}:ITEM_FEATURES")]
"""A `FeatureType` that items may have."""
UserFeature = Annotated[Any, OneOf(f"{_TYPES}:USER_FEATURES")]
"""A `FeatureType` that users may have."""


class PopularityFeature(Declaration):
    """log1p of the item's positives strictly before, divided by that of the most popular item."""

    type: Literal["popularity"]
    window_days: float | None = Field(None, gt=0)
    """Days before the request in which positives count; null: all."""
    event_types: tuple[str, ...] | None = None
    """Kinds of event that count in place of positives."""

    @property
    def window(self) -> int | None:
        """The window in whole seconds, as times are; None: all events count."""
        return None if self.window_days is None else int(self.window_days * DAY)


class MeanValueFeature(Declaration):
    """Mean `value` of the item's events strictly before, shrunk to the mean of all items."""

    type: Literal["mean_value"]
    prior: float = Field(10.0, gt=0)
    """Events at the mean of all items that are added to the item's own; more of them shrink harder."""


class FreshnessFeature(Declaration):
    """exp(-age / `scale_days`), from `created_at`; 0 where the creation time is absent."""

    type: Literal["freshness"]
    scale_days: float = Field(30.0, gt=0)
    """Days after which freshness has fallen to 1/e."""

    @property
    def scale(self) -> float:
        """The scale in seconds."""
        return self.scale_days * DAY


QualityFeature = Annotated[PopularityFeature | MeanValueFeature | FreshnessFeature, Field(discriminator="type")]
