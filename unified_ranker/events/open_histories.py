"""Openers of stores and sources of events by their place. Built-in ones import their libraries when they are used."""

from pathlib import Path

from unified_ranker.core.places import DIRECTORY, scheme_of
from unified_ranker.events.base import EVENT_SOURCES, HISTORY_STORES, EventSource, HistoryStore


def open_history_store(place: str) -> HistoryStore:
    """Open a store of events: a directory, or `redis://host:port/database`, or what another package registered.

    Raises:
        UserError: it cannot be opened.
    """
    return HISTORY_STORES[scheme_of(place)](place)


def open_event_source(place: str, progress: Path) -> EventSource:
    """Open a source of events: a directory of Parquet, or what another package registered.

    Args:
        place: where they come from.
        progress: file that stores the source's position, from one run to the next.

    Raises:
        UserError: it cannot be opened.
    """
    return EVENT_SOURCES[scheme_of(place)](place, progress)


@HISTORY_STORES.register(DIRECTORY)
def _in_directory(place: str) -> HistoryStore:
    """LMDB in a directory of this machine."""
    from unified_ranker.events.lmdb_histories import LmdbStore

    return LmdbStore(Path(place))


@HISTORY_STORES.register("unix")
@HISTORY_STORES.register("rediss")
@HISTORY_STORES.register("redis")
def _in_redis(place: str) -> HistoryStore:
    """Redis, for a service of several replicas."""
    from unified_ranker.events.redis_histories import RedisStore

    return RedisStore(place)


@EVENT_SOURCES.register(DIRECTORY)
def _files(place: str, progress: Path) -> EventSource:
    """Directory of Parquet tables that grows."""
    from unified_ranker.events.growing_directory import GrowingDirectory
    from unified_ranker.events.parquet_events import ParquetEvents

    return ParquetEvents(GrowingDirectory(Path(place), progress))
