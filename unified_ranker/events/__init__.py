"""Events: contracts of event sources and histories, and their implementations on LMDB, Redis and Parquet."""
