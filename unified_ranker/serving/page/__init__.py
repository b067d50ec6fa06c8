"""The page at `/` of the ranking service."""
