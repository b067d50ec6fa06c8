"""Signals: features of a request and a candidate beside their vectors. Each signal has a file of its own."""

from unified_ranker.signals import (
    affinity,
    ease,
    item_neighbours,
    lexical,
    like_queries,
    nearby,
    newest,
    popular,
    query_memory,
    repeats,
    returns,
    source_pairs,
    source_walks,
    successions,
    transitions,
)

__all__ = [
    "affinity",
    "ease",
    "item_neighbours",
    "lexical",
    "like_queries",
    "nearby",
    "newest",
    "popular",
    "query_memory",
    "repeats",
    "returns",
    "source_pairs",
    "source_walks",
    "successions",
    "transitions",
]
