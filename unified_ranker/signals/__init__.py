"""Signals: features of a request and a candidate beside their vectors. Each signal has a file of its own."""

from unified_ranker.signals import (
    ease,
    item_neighbours,
    lexical,
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
    "ease",
    "item_neighbours",
    "lexical",
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
