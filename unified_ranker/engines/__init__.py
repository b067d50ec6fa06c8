"""Engines, which run a job: stages of pure functions from Arrow tables to Arrow tables, in shards."""
