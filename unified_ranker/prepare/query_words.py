"""Words of queries and titles outside of the model, without stemming or stop words."""

import re
import unicodedata

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return the words of `text` in one case and one Unicode form (NFKC), without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normalise_query(text: str) -> str:
    """Return the form in which two queries count as the same: equal words in equal order."""
    return " ".join(words(text))
