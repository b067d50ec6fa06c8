"""Answers from a release: encode, retrieve, rank; for one request or a table of them."""
