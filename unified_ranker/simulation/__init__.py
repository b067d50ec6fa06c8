"""Simulated marketplace with known truth: logs of any size, the best reachable metrics, and true uplift."""
