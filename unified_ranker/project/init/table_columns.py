"""Columns of one table from elsewhere, with the choices that were made of them so far."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from unified_ranker.config import ColumnSource
from unified_ranker.log.column_names import name_fit
from unified_ranker.log.schema import LOG_COLUMNS, SESSION
from unified_ranker.project.init.column_choices import SAID, Choice
from unified_ranker.project.init.raw_columns import RawColumn

Found: TypeAlias = tuple[ColumnSource | None, str, str]
"""Source of a column, the reason, and the doubt."""


class TableColumns:
    """Columns of one table.

    Attributes:
        name: the table's: `events`, `items` or `users`.
        columns: its columns by name; none where there is no such table.
        choices: what was chosen, by the columns of ours.
    """

    def __init__(
        self, name: str, columns: Mapping[str, RawColumn], said: Mapping[str, ColumnSource | None] | None = None
    ) -> None:
        self.name, self.columns = name, columns
        self.choices: dict[str, Choice] = {}
        self._said = said or {}
        for column, source in self._said.items():
            if source is not None:
                self.put(column, source, SAID)
            elif column in columns:
                # A column of theirs that has our name would be taken by it.
                self.put(column, ColumnSource(value="null"), SAID)

    def open(self, column: str) -> bool:
        """Tell whether a column of ours is still to be chosen."""
        return column not in self.choices and column not in self._said

    def put(
        self, column: str, source: ColumnSource | None, why: str, doubt: str = "", *, optional: bool = False
    ) -> None:
        """Record the choice of a column that is open."""
        if column not in self.choices:
            self.choices[column] = Choice(self.name, column, source, why, doubt, optional)

    def choose(self, column: str, rule: "Rule") -> None:
        """Choose the source of an open column by a rule."""
        found = rule(self, column) if self.open(column) else None
        if found is not None:
            self.put(column, *found)

    def free(self, column: str = "") -> list[RawColumn]:
        """Return the columns of theirs that are not taken, and have no name of ours but perhaps that of `column`."""
        # In a log of concerts, `event_id` is the item.
        taken = {name for choice in self.choices.values() for name in choice.takes}
        taken |= {*LOG_COLUMNS[self.name], SESSION} - {column, "event_id"}
        return [theirs for name, theirs in self.columns.items() if name not in taken]

    def candidates(self, column: str, suits: Callable[[RawColumn], bool]) -> list[tuple[float, RawColumn]]:
        """Return the free columns that suit and whose name fits a column of ours, with the fit, the best first.

        The column's own name always suits: what it holds is for the checks to say.
        """
        fits = [(name_fit(self.name, column, c.name), c) for c in self.free(column)]
        suited = [(fit, c) for fit, c in fits if fit > 0 and (c.name == column or suits(c))]
        return sorted(suited, key=lambda pair: -pair[0])

    def in_order(self) -> list[Choice]:
        """Return the choices in the order of the contract, then the features."""
        order = [*LOG_COLUMNS[self.name], SESSION]
        return sorted(self.choices.values(), key=lambda c: order.index(c.column) if c.column in order else len(order))


Rule: TypeAlias = Callable[[TableColumns, str], Found | None]
"""Rule for a column of ours: its source in a table; None where the table has no such column."""
