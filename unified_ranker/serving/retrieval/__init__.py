"""Retrieval of candidates: search, live changes beside the index, its recall and its rebuilding."""
