"""Retrieval objectives: losses of the query embedding against negatives, with a file for each kind."""

from unified_ranker.tasks.objectives import all_items, sampled

__all__ = ["all_items", "sampled"]
