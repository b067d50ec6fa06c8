"""Sources of interaction logs, and the point-in-time examples made from them."""
