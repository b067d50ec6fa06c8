"""Engines: what carries a job, stages of pure functions from Arrow tables to Arrow tables, over shards."""
