"""The columns that the towers read, and the features of the quality vector: their types are in other packages."""

from typing import Annotated, Any

from unified_ranker.config.kinds import OneOf

_TYPES = "unified_ranker.towers.feature_types.base"
ItemFeature = Annotated[Any, OneOf(f"{_TYPES}:ITEM_FEATURES")]
"""A `FeatureType` that items may have."""
UserFeature = Annotated[Any, OneOf(f"{_TYPES}:USER_FEATURES")]
"""A `FeatureType` that users may have."""
DeclaredQuality = dict[str, Annotated[Any, OneOf("unified_ranker.prepare.quality_types.base:QUALITY_FEATURES")]]
"""Each a `QualityFeature`, by name."""
