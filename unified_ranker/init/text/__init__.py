"""The text of a new project's files: each choice as a value, its reason as a comment."""
