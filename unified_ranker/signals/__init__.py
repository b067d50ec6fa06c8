"""Signals between a request and its candidates that no pair of vectors carries: shared words, items seen together."""
