"""Store of vectors of users, items and queries. Readers need NumPy and the backend's library, and no TensorFlow."""

from unified_ranker.store.embedding_store import EmbeddingStore, Version
from unified_ranker.store.limits import Limits
from unified_ranker.store.matrix import Neighbour
from unified_ranker.store.open_store import open_store
from unified_ranker.store.publishing import GuardError
from unified_ranker.store.records import Entry, EntryBatch

__all__ = ["EmbeddingStore", "Entry", "EntryBatch", "GuardError", "Limits", "Neighbour", "Version", "open_store"]
