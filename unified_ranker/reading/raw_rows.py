"""Rows as they lie in a source, and the contract of what reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from unified_ranker.core.arrays import Ints


@dataclass(frozen=True)
class Rejected:
    """Row that no table can hold.

    Attributes:
        row: number of the row in its file, from 0.
        rule: the rule that it breaks, to be read after "the row": "has as many fields as there are columns".
        text: the row as it lies, as far as it can be shown.
    """

    row: int
    rule: str
    text: str


@dataclass(frozen=True)
class RawRows:
    """Consecutive rows of one file, in the order of the file.

    Attributes:
        file: name of the file, for messages.
        table: `[rows, columns]`, with their names and types.
        numbers: the rows' numbers in the file, from 0, `[rows]`.
        rejected: rows between these that are none.
    """

    file: str
    table: pa.Table
    numbers: Ints
    rejected: tuple[Rejected, ...] = ()


class RawSource(Protocol):
    """Source of rows that can be read any number of times.

    Attributes:
        form: the form that was recognised, for a line of output: "text, separated by `;`, with a header".
        columns: names of the columns.
    """

    @property
    def form(self) -> str:
        """The form that was recognised."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield all rows with the given columns, in parts that fit in memory."""
        ...
