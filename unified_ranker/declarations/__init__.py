"""Declarations: YAML read into `config`, worded mistakes, and checks against the data."""
