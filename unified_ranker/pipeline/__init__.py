"""The stages of a project, in order, each skipped while its output is up to date."""
