"""Kinds of index over a release's item vectors, one file for each kind."""

from unified_ranker.release.indexes import auto, exact, scann

__all__ = ["auto", "exact", "scann"]
