"""Types of features of items and users: one file a type, from the table's column to the tower's numbers."""

from unified_ranker.towers.feature_types import categories, category, number, text

__all__ = ["categories", "category", "number", "text"]
