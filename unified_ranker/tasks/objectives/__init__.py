"""Retrieval objectives: what the query embedding learns to find an item among; one file a kind."""

from unified_ranker.tasks.objectives import all_items, sampled

__all__ = ["all_items", "sampled"]
