"""Types of features of the quality vector: one file a type, from the log's events to the number of an item."""

from unified_ranker.prepare.quality_types import freshness_feature, mean_value_feature, popularity_feature

__all__ = ["freshness_feature", "mean_value_feature", "popularity_feature"]
