"""Metrics, baselines and the report, all over the full catalogue and as of each request."""
