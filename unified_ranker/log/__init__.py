"""The interaction log: its schema, readers of files, column types, checks, and MovieLens as a source."""
