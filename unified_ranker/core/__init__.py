"""Core: the types and rules that at least three packages share."""
