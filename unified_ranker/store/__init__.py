"""Vectors of users, items and queries for teams that have no TensorFlow: NumPy and the backend's library suffice."""

from unified_ranker.store.guards import Limits
from unified_ranker.store.matrix import Neighbour
from unified_ranker.store.opening import open_store
from unified_ranker.store.publishing import GuardError
from unified_ranker.store.records import Batch, Entry
from unified_ranker.store.store import EmbeddingStore, Version

__all__ = ["Batch", "EmbeddingStore", "Entry", "GuardError", "Limits", "Neighbour", "Version", "open_store"]
