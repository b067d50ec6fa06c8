"""Events: contracts of event sources and histories, and their implementations on LMDB, Redis and Parquet."""

from unified_ranker.events import open_histories

__all__ = ["open_histories"]
