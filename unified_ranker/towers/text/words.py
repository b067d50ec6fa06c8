"""Separator of words, for hashed texts and lexical signals."""

NO_WORD = r"[^\p{L}\p{M}\p{N}]+"
"""All but letters, their marks (accents, vowels of Indic scripts) and digits."""
