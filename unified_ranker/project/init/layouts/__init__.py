"""Layouts of published logs whose tables must be joined, or have no header; one file each."""
