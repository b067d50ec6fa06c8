"""Choices of columns: which column of a table from elsewhere is which of ours, why, and what is in doubt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml
from pydantic import ValidationError

from unified_ranker.config import ColumnSource
from unified_ranker.core.errors import UserError, listed, nearest
from unified_ranker.log.schema import LOG_COLUMNS, REQUIRED, SESSION

TABLE_NAMES = ("events", "items", "users")
SAID = "you said so"


@dataclass(frozen=True)
class Choice:
    """One column of ours, and where it comes from.

    Attributes:
        table: `events`, `items` or `users`.
        column: the column of ours.
        source: the column of theirs, or a constant; None where nothing was found.
        why: the reason, with the counts seen.
        doubt: why a person must decide; "" where the choice is clear.
        optional: whether the log may do without the column.
    """

    table: str
    column: str
    source: ColumnSource | None
    why: str
    doubt: str = ""
    optional: bool = False

    @property
    def path(self) -> str:
        """Name of the column as `--map` takes it: `user_id`, `items.title`."""
        return self.column if self.table == "events" else f"{self.table}.{self.column}"

    @property
    def taken(self) -> str | None:
        """Name of the column that the choice takes; None for a constant or nothing, or several."""
        return None if self.source is None else self.source.column

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the columns that the choice takes."""
        return () if self.source is None else self.source.theirs

    @property
    def shown(self) -> str:
        """The source in a few words."""
        if self.source is None:
            return "none" if self.optional else "?"
        return " and ".join(f"`{name}`" for name in self.takes) or f"always `{self.source.value}`"

    @property
    def declared(self) -> object:
        """The source as project.yaml declares it."""
        return None if self.source is None else self.source.model_dump(mode="json")

    @property
    def plain(self) -> bool:
        """Tells whether the column is taken by its own name as it is, so that nothing needs to be declared."""
        return self.declared == self.column


Said = Mapping[str, Mapping[str, ColumnSource | None]]
"""What a person said of each table's columns, by our names; None = the column is left out."""


def read_said(texts: Iterable[str], constants: Mapping[str, str | None]) -> Said:
    """Return what a person said of columns.

    Args:
        texts: as `--map` takes them: `user_id=visitorid`, `items.title=prod_name`, `query=` for none, or with
            options as in project.yaml, `timestamp={column: when, format: "%d/%m/%Y"}`.
        constants: values that every event has, by column: those of `--task` and `--event-type`.

    Raises:
        UserError: a text does not have this form, or the column is none of the log's.
    """
    said: dict[str, dict[str, ColumnSource | None]] = {table: {} for table in TABLE_NAMES}
    for text in texts:
        path, equals, given = text.partition("=")
        table, _, column = path.strip().rpartition(".")
        table = table or "events"
        if not equals or not column or table not in TABLE_NAMES:
            raise UserError(
                f"`--map` must be of the form OURS=THEIRS, such as `user_id=visitorid` or `items.title=prod_name`. "
                f"Received: `{text}`."
            )
        if table == "events" and column not in (known := [*LOG_COLUMNS["events"], SESSION]):
            raise UserError(
                f"`--map`: `{column}` is no column of the events. Allowed: {listed(known)}.{nearest(column, known)}"
            )
        said[table][column] = _source_of(given.strip(), text)
        if said[table][column] is None and column in REQUIRED[table]:
            raise UserError(
                f"`--map`: `{path.strip()}` is required, so it cannot be left out. Received: `{text}`. Name a column."
            )
    for column, value in constants.items():
        if value is not None and not value.strip():
            raise UserError(
                f"`--{column.replace('_', '-')}` must be a name. Received: a blank one. Name it, or leave it out."
            )
    said["events"] |= {column: ColumnSource(value=value) for column, value in constants.items() if value is not None}
    return said


def _source_of(given: str, text: str) -> ColumnSource | None:
    if not given.startswith("{"):
        return ColumnSource(column=given) if given else None
    try:
        return ColumnSource.model_validate(yaml.safe_load(given))
    except (yaml.YAMLError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, ValidationError):
            reason = "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors())
        raise UserError(
            f"`--map`: what follows `=` must be a column's name, or its options as in project.yaml, `data.columns`. "
            f"Received: `{text}` ({reason})."
        ) from error
