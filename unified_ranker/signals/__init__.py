"""Signals between a request and its candidates that no pair of vectors carries, one file a signal."""

from unified_ranker.signals import lexical, repeats, source_pairs, source_walks, successions

__all__ = ["lexical", "repeats", "source_pairs", "source_walks", "successions"]
