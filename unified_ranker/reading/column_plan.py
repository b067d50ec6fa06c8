"""Plan of a table: which of its columns is which of ours, and of what kind each is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unified_ranker.config import ColumnSource, TablesSource
from unified_ranker.core.errors import UserError, listed, nearest
from unified_ranker.log.column_types import to_flags, to_integers, to_lists, to_strengths, to_text, to_times
from unified_ranker.log.schema import LOG_COLUMNS, OFFER_COLUMNS, REQUIRED, SESSION

Kind = Literal["id", "text", "time", "number", "integer", "flag", "list", "feature"]
_KINDS: Mapping[object, Kind] = {
    to_text: "text", to_times: "time", to_strengths: "number", to_integers: "integer", to_flags: "flag",
    to_lists: "list",
}  # fmt: skip
ITEM_KEYS = frozenset({"item_id", "source_item_id", "query_item_id"})
USER_KEYS = frozenset({"user_id"})
_KEYS = ITEM_KEYS | USER_KEYS | {"request_id", "event_id", SESSION}


@dataclass(frozen=True)
class PlannedColumn:
    """Column of ours.

    Attributes:
        name: of ours.
        source: the declaration, or that of the column of the same name.
        kind: what its values are.
    """

    name: str
    source: ColumnSource
    kind: Kind


@dataclass(frozen=True)
class TablePlan:
    """Plan of one table.

    Attributes:
        table: `events`, `items` or `users`.
        columns: those of ours that the table gives.
        further: names of the other columns of the source.
    """

    table: str
    columns: tuple[PlannedColumn, ...]
    further: tuple[str, ...]

    @property
    def needed(self) -> list[str]:
        """Names of the columns of the source that the plan reads."""
        return list(dict.fromkeys(name for column in self.columns for name in column.source.theirs))


def plan_of(table: str, data: TablesSource, found: tuple[str, ...], strict: bool = True) -> TablePlan:
    """Return the plan of a table.

    Args:
        table: `events`, `items` or `users`.
        data: the declarations.
        found: names of the source's columns.
        strict: whether a required column that is missing is an error.

    Raises:
        UserError: a declared column is not in the source, or a required one is neither declared nor there.
    """
    declared: Mapping[str, ColumnSource] = getattr(data.columns, table)
    known = [*LOG_COLUMNS[table], *({"events": [SESSION], "items": list(OFFER_COLUMNS)}.get(table, []))]
    for name in declared:
        if table == "events" and name not in known:
            raise UserError(
                f"`project.yaml`, `data.columns.events`: `{name}` is no column of events. Allowed: {listed(known)}. "
                f"Rename or remove it.{nearest(name, known)}"
            )
    _require_found(table, declared, found)
    for name in ("items", "users"):
        if table == "events" and getattr(data, name) is None:
            # They are made of the events.
            _require_found(name, getattr(data.columns, name), found)
    taken = {theirs for source in declared.values() for theirs in source.theirs}
    if table == "events" and data.order == "row":
        known.remove("timestamp")
    own = [name for name in found if name in known and name not in declared and name not in taken]
    chosen = {**{name: ColumnSource(column=name) for name in own}, **declared}
    for name in REQUIRED[table]:
        if strict and name not in chosen and not (name == "timestamp" and data.order == "row"):
            raise UserError(
                f"`{table}` has the required column `{name}`. Received: no such column; there are: {listed(found)}. "
                f"Declare it in project.yaml: `data: {{columns: {{{table}: {{{name}: COLUMN}}}}}}`."
                f"{nearest(name, found)}"
            )
    planned = tuple(PlannedColumn(name, source, planned_kind(table, name)) for name, source in chosen.items())
    used = {theirs for column in planned for theirs in column.source.theirs}
    return TablePlan(table, planned, tuple(name for name in found if name not in used | chosen.keys()))


def _require_found(table: str, declared: Mapping[str, ColumnSource], found: tuple[str, ...]) -> None:
    for name, source in declared.items():
        for theirs in source.theirs:
            if theirs not in found:
                raise UserError(
                    f"`project.yaml`, `data.columns.{table}.{name}`: there is no column `{theirs}`. Found: "
                    f"{listed(found)}. Correct the name.{nearest(theirs, found)}"
                )


def planned_kind(table: str, name: str) -> Kind:
    """Return what the values of a column of ours are."""
    if name in _KEYS:
        return "id"
    converter = LOG_COLUMNS[table].get(name)
    if converter is None:
        return "list" if table == "items" and OFFER_COLUMNS.get(name) is to_lists else "feature"
    return _KINDS[converter]
