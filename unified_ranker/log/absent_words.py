"""Words that mean absent: text that an export writes where it has no value.

Read as values, they are one user with a third of the events, or a query that makes a feed a search. They count as
absent wherever a table has text, like null, and `log.table_checks` counts them.
"""

import pyarrow as pa
import pyarrow.compute as pc

ABSENT_WORDS = (
    *("", "nan", "NaN", "NAN", "None", "null", "Null", "NULL", "<NA>", "<null>"),
    *("N/A", "n/a", "#N/A", "undefined", r"\N", "-"),
)
"""Words that mean absent, as programs spell them, without the blanks around them.

`none` is not among them, because people write it of an occupation or an allergy, nor is `NA`, the country Namibia.
"""


def is_absent(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mark text that means absent: blank, and `ABSENT_WORDS` with blanks around them; null is not marked."""
    bare = pc.utf8_trim_whitespace(text)
    return pc.is_in(bare, value_set=pa.array(ABSENT_WORDS, bare.type))


def without_absent(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text with null in the place of what means absent."""
    return pc.if_else(is_absent(text), pa.scalar(None, text.type), text)


def is_word(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mark text that means absent by a word, which blank text has not."""
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), True)
    return pc.and_not(is_absent(text), blank)
