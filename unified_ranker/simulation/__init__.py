"""A simulated marketplace whose truth is known: logs of any size, the best reachable metrics, and true uplift."""
