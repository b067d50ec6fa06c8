"""The HTTP API of the ranking service."""
