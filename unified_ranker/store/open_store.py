"""Opens a store by its place."""

from pathlib import Path

from unified_ranker.store.base import StoreBackend
from unified_ranker.store.embedding_store import EmbeddingStore

REDIS = ("redis://", "rediss://", "unix://")


def open_store(place: str | Path, version: int | None = None) -> EmbeddingStore:
    """Open a store to read: `open_store("embeddings").get("item", "50").vector`.

    Args:
        place: a directory, or `redis://host:port/database` (`?prefix=…` for another prefix of its keys).
        version: one to stay with; None follows whichever is published, from each call to the next.

    Raises:
        UserError: the backend's library is not installed, or the version is not there.
    """
    store = EmbeddingStore(_backend(str(place)), version)
    if version is not None:
        # At once, and not at the first read: a version that is not whole is no version.
        store.get_many(next(iter(store.manifest["kinds"])), [])
    return store


def _backend(place: str) -> StoreBackend:
    if place.startswith(REDIS):
        from unified_ranker.store.redis_backend import RedisBackend

        return RedisBackend(place)
    from unified_ranker.store.lmdb_backend import LmdbBackend

    return LmdbBackend(Path(place))
