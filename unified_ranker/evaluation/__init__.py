"""Evaluation over the full catalogue, as of each request: metrics, baselines, report, comparison and tuning."""
