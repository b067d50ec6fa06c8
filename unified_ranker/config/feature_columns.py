"""The columns that the towers read, and the features of the quality vector."""

from typing import Annotated, Literal

from pydantic import Field

from unified_ranker.config.declaration import Declaration


class TextFeature(Declaration):
    """A text column, read by the shared text encoder."""

    type: Literal["text"]
    column: str


class CategoryFeature(Declaration):
    """A column with one category a row; values seen fewer than `min_count` times are unknown."""

    type: Literal["category"]
    column: str
    min_count: int = Field(1, ge=1)


class CategoriesFeature(Declaration):
    """A column that holds a list of categories."""

    type: Literal["categories"]
    column: str
    min_count: int = Field(1, ge=1)


class NumberFeature(Declaration):
    """A numeric column, standardised; `log` takes log1p first. An absent value has its own indicator."""

    type: Literal["number"]
    column: str
    log: bool = False


ItemFeature = Annotated[TextFeature | CategoryFeature | CategoriesFeature | NumberFeature, Field(discriminator="type")]

UserFeature = Annotated[CategoryFeature | NumberFeature, Field(discriminator="type")]


class PopularityFeature(Declaration):
    """log1p of the item's positives strictly before, over that of the most popular item.

    `window_days` counts those in that many days before only; `event_types` counts these events instead of positives.
    """

    type: Literal["popularity"]
    window_days: float | None = Field(None, gt=0)
    event_types: tuple[str, ...] | None = None


class MeanValueFeature(Declaration):
    """Mean `value` of the item's events strictly before, shrunk to the mean of all by `prior` events."""

    type: Literal["mean_value"]
    prior: float = Field(10.0, gt=0)


class FreshnessFeature(Declaration):
    """exp(-age / `scale_days`), from `created_at`; 0 where the creation time is absent."""

    type: Literal["freshness"]
    scale_days: float = Field(30.0, gt=0)


QualityFeature = Annotated[PopularityFeature | MeanValueFeature | FreshnessFeature, Field(discriminator="type")]
