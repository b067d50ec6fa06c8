"""Vectors of a release in the store that other teams read: full exports, and refreshes of single entries."""
