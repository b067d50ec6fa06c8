"""The candidates of a request: an index, live changes to it, filters, and its health."""
