"""Words of a text, as hashed texts and lexical signals part them."""

NO_WORD = r"[^\p{L}\p{M}\p{N}]+"
"""What parts words: all but letters, the marks that belong to them (vowels of Indic scripts, accents), and digits."""
