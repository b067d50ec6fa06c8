"""Opener of a store by its place. Built-in backends import their libraries when they are used."""

from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.places import DIRECTORY, scheme_of
from unified_ranker.core.registry import ENTRY_POINTS
from unified_ranker.store.base import STORE_BACKENDS, StoreBackend
from unified_ranker.store.embedding_store import EmbeddingStore


def open_store(place: str | Path, version: int | None = None) -> EmbeddingStore:
    """Open a store to read: `open_store("embeddings").get("item", "50").vector`.

    Args:
        place: a directory, or `redis://host:port/database` (`?prefix=…` for another prefix of its keys), or an address
            whose scheme another package registered.
        version: number of the one to read; None: at each call, the version that is then published.

    Raises:
        UserError: the scheme is not known, the backend's library is not installed, or the version is not there.
    """
    try:
        backend = STORE_BACKENDS[scheme_of(str(place))]
    except UserError as error:
        raise UserError(
            f"{error} Where a store is opened by its place alone, other schemes come from installed packages, as entry "
            f"points of the group `{ENTRY_POINTS}`."
        ) from error
    store = EmbeddingStore(backend(str(place)), version)
    if version is not None:
        # Checked now and not at the first read, so that an incomplete version is refused at once.
        store.get_many(next(iter(store.manifest.kinds)), [])
    return store


@STORE_BACKENDS.register(DIRECTORY)
def _in_directory(place: str) -> StoreBackend:
    """Open LMDB in a directory."""
    from unified_ranker.store.lmdb_backend import LmdbBackend

    return LmdbBackend(Path(place))


@STORE_BACKENDS.register("unix")
@STORE_BACKENDS.register("rediss")
@STORE_BACKENDS.register("redis")
def _in_redis(place: str) -> StoreBackend:
    """Open Redis, for a store that several machines share."""
    from unified_ranker.store.redis_backend import RedisBackend

    return RedisBackend(place)
