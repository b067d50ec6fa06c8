"""A project: its stages in order, and the checks of its declarations against its data."""
