"""Lists that are stored as text: JSON or Python lists, separators, and levels of nested categories."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.log.absent_words import ABSENT_WORDS
from unified_ranker.log.column_types import LIST_SEPARATOR, decoded, is_text

LEVELS = (">", "»")
"""Signs between the levels of a nested category that are recognised."""
POSSIBLE_LEVELS = ("/", ".")
"""Signs that are between levels where most of the values begin alike, as `phones.smart` and `phones.wired`: `init`
declares them, because the same signs stand in names."""
_SEPARATORS = (";", ",")
"""Separators that are recognised where the parts that they make occur in other values, too."""
_MOSTLY = 0.9
_NAME_KEY = "name"


@dataclass(frozen=True)
class ListForm:
    """Form of lists in text.

    Attributes:
        written: whether the text is a list as JSON or Python writes it.
        separator: between the elements, otherwise; None: there is one element.
        levels: between the levels of an element; None: elements have none.
    """

    written: bool = False
    separator: str | None = None
    levels: str | None = None

    def __str__(self) -> str:
        """Return the form in words."""
        parts = ["a list as JSON or Python writes it"] if self.written else []
        parts += [f"elements between `{self.separator}`"] if self.separator else []
        parts += [f"levels between `{self.levels}`"] if self.levels else []
        return ", ".join(parts) or "one element"


def list_form_of(
    values: Sequence[str], separator: str | None = None, levels: str | None = None, possible: bool = False
) -> ListForm:
    """Recognise the form of lists from their distinct texts, where it is not declared.

    Args:
        values: the distinct texts.
        separator: between elements, as declared.
        levels: the sign between levels, as declared.
        possible: whether `POSSIBLE_LEVELS` are looked for, too.
    """
    values = [value for value in values if value.strip() and value.strip() not in ABSENT_WORDS]
    if separator is None and values and sum(map(_looks_written, values)) >= _MOSTLY * len(values):
        return ListForm(written=True, levels=levels)
    if separator is None:
        piped = any(LIST_SEPARATOR in value for value in values)
        separator = LIST_SEPARATOR if piped else next((s for s in _SEPARATORS if _separates(s, values)), None)
    if levels is None:
        levels = next(
            (sign for sign in LEVELS if 2 * sum(sign in value for value in values) >= max(len(values), 1)), None
        )
    if levels is None and possible:
        levels = next((sign for sign in POSSIBLE_LEVELS if _nests(sign, values)), None)
    return ListForm(separator=separator, levels=levels)


def to_list_values(column: pa.ChunkedArray, form: ListForm | None) -> pa.Array:
    """Return lists of text, `[rows]`; `form` is of a column of text, None for one of lists."""
    column = decoded(column)
    if form is None:
        rows = (flattened(row) for row in column.to_pylist())
        return pa.array([list(dict.fromkeys(row)) for row in rows], pa.list_(pa.string()))
    coded = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    lists = pa.array([elements_of(text, form) for text in coded.dictionary.to_pylist()], pa.list_(pa.string()))
    return lists.take(coded.indices)


def elements_of(text: str, form: ListForm) -> list[str]:
    """Return the elements of one text; a nested one is preceded by those that it is in, `Shoes`, `Shoes > Running`."""
    parts: Iterable[str] = (
        flattened(_written(text)) if form.written else (text.split(form.separator) if form.separator else [text])
    )
    found: dict[str, None] = {}
    for part in parts:
        if form.levels is None:
            steps = [part.strip()]
        else:
            levels = [level.strip() for level in part.split(form.levels) if level.strip()]
            steps = [f" {form.levels} ".join(levels[: n + 1]) for n in range(len(levels))]
        found |= dict.fromkeys(step for step in steps if step not in ABSENT_WORDS)
    return list(found)


def flattened(value: Any) -> list[str]:
    """Return the elements of nested lists as text; of an object its `name`, of a null none."""
    if value is None:
        return []
    if isinstance(value, list | tuple | set):
        return [inner for element in value for inner in flattened(element)]
    if isinstance(value, dict):
        return flattened(value.get(_NAME_KEY))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return [] if text in ABSENT_WORDS else [text]


def distinct_texts(column: pa.ChunkedArray) -> list[str]:
    """Return the distinct values of a column of text, empty for other columns."""
    column = decoded(column)
    return pc.unique(column).drop_null().to_pylist() if is_text(column.type) else []


def _looks_written(value: str) -> bool:
    bare = value.strip()
    return bare.startswith("[") and bare.endswith("]")


def _written(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.strip().strip("[]").split(",")


def _separates(sign: str, values: Sequence[str]) -> bool:
    """Tell whether half of the parts that a sign makes are parts of other values, too: no sentence is like that."""
    split = [{part.strip() for part in value.split(sign)} for value in values]
    counts = Counter(part for parts in split for part in parts)
    made = [part for parts in split if len(parts) > 1 for part in parts]
    return bool(made) and 2 * sum(counts[part] > 1 for part in made) >= len(made)


def _nests(sign: str, values: Sequence[str]) -> bool:
    """Tell whether half of the values have a sign between two words, and most of these begin like another one."""
    nested = [value for value in values if re.search(rf"\w\s*{re.escape(sign)}\s*\w", value)]
    first = Counter(value.partition(sign)[0].strip() for value in nested)
    shared = sum(count for count in first.values() if count > 1)
    return 2 * len(nested) >= max(len(values), 1) and 2 * shared > len(nested)
