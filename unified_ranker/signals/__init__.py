"""Signals: features of a request and a candidate beside their vectors. Each signal has a file of its own."""

from unified_ranker.signals import lexical, repeats, source_pairs, source_walks, successions

__all__ = ["lexical", "repeats", "source_pairs", "source_walks", "successions"]
