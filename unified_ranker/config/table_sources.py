"""Declarations of a log in tables: where each table is read from, and which of its columns is which of ours."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator
from pydantic import ModelWrapValidatorHandler as Reader

from unified_ranker.config.declaration import Declaration

FileFormat = Literal["parquet", "csv", "json"]
"""Formats of files; `json` is also JSON lines, `csv` is text with any delimiter."""
TimeUnit = Literal["s", "ms", "us", "ns", "days", "excel"]
"""Units of numbers that are times since 1970; `excel` are the days since 1900 of spreadsheets."""
_PASSWORD = re.compile(
    r"://[^/?#@]*:(?P<secret>[^/?#@]+)@|[?&;\s]password=(?P<given>[^&;\s]+)|^password=(?P<first>\S+)"
)
_FROM_ENVIRONMENT = re.compile(r"\$\{\w+\}")


class TableSource(Declaration):
    """Source of one table: files, or a query over files or a database. A path alone is short for `{files: PATH}`."""

    files: Path | None = None
    """File, directory, or pattern such as `parts/*.csv.gz`; relative to the project. In a directory, folders such as
    `year=2024` are columns."""
    format: FileFormat | None = None
    """Format of the files; null: by their names and first bytes. They may be compressed by gzip or zstd."""
    delimiter: str | None = Field(None, min_length=1)
    """Delimiter of the fields in text, such as `;` or `::`; null: recognised."""
    quote: str | None = Field(None, max_length=1)
    """Quotation mark around fields in text; empty: there is none; null: recognised."""
    header: bool | tuple[str, ...] | None = None
    """Whether the first line names the columns, or their names where no line does; null: recognised."""
    encoding: str | None = None
    """Encoding of text, such as `latin-1`; null: UTF-8, or UTF-16 where the file begins with its mark."""
    sql: str | None = None
    """Query in place of files. Paths in it are relative to the project."""
    database: str | None = None
    """Address of the database that answers `sql`, such as `postgresql://reader:${PASSWORD}@host/shop`, its password
    from an environment variable; null: DuckDB answers it, over files."""

    @model_validator(mode="wrap")
    @classmethod
    def _path_is_short_for_files(cls, value: Any, read: Reader["TableSource"]) -> "TableSource":
        if isinstance(value, str | Path):
            value = {"files": value}
        elif not isinstance(value, dict | cls):
            raise ValueError("must be a path, or hold `files` or `sql`")
        return read(value)

    @model_validator(mode="after")
    def _is_files_or_query(self) -> "TableSource":
        if (self.files is None) == (self.sql is None):
            found = "neither" if self.files is None else "both"
            raise ValueError(f"a table needs either `files` or `sql`. Received: {found}. Keep one")
        if self.database is not None and self.sql is None:
            raise ValueError("`database` answers a query. Received: no `sql`. Add it")
        given = [name for name in _OF_FILES if self.sql is not None and getattr(self, name) is not None]
        if given:
            raise ValueError(
                f"`{given[0]}` is for `files`. Received: `sql`. Read the files by the query, with its options"
            )
        secret = _PASSWORD.search(self.database or "")
        if secret is not None and not _FROM_ENVIRONMENT.fullmatch(next(s for s in secret.groups() if s)):
            raise ValueError(
                "the password in `database` must come from an environment variable, since releases hold the "
                "declarations. Received: a password. Write `${NAME}` in its place"
            )
        return self

    @model_serializer(mode="wrap")
    def _files_alone_are_short(self, handler: SerializerFunctionWrapHandler) -> Any:
        return _shortened(handler(self), "files")

    @property
    def name(self) -> str:
        """Name of the source, for messages."""
        return str(self.files) if self.files is not None else f"query `{' '.join(str(self.sql).split())[:60]}`"


_OF_FILES = ("format", "delimiter", "quote", "header", "encoding")


class ColumnSource(Declaration):
    """Source of one column: a column of theirs, or a constant. A name alone is short for `{column: NAME}`."""

    column: str | None = None
    """Name of the column in the source."""
    columns: tuple[str, ...] = ()
    """Names of the columns that together are a time, in place of one: a date, and a time of day or an hour."""
    value: str | float | None = None
    """Constant that every row has, in place of a column."""
    values: dict[str, str] = Field(default_factory=dict)
    """Values of ours by values of theirs; a value that is not named stays as it is."""
    unit: TimeUnit | None = None
    """Unit of a time that is a number since 1970, or `excel`; null: recognised."""
    format: str | None = None
    """Format of a time that is text, such as `%d/%m/%Y %H:%M` (Python's strptime); null: recognised."""
    spelling: Literal["trimmed", "lower"] | None = None
    """Change of text that is spelt in several ways: no blanks around it (`trimmed`), and lower case, too (`lower`)."""
    separator: str | None = Field(None, min_length=1)
    """Text between the elements of a list that is stored as text; null: recognised."""
    levels: str | None = Field(None, min_length=1)
    """Text between the levels of a nested category, such as `>`; null: recognised."""

    @model_validator(mode="wrap")
    @classmethod
    def _name_is_short_for_column(cls, value: Any, read: Reader["ColumnSource"]) -> "ColumnSource":
        if isinstance(value, str):
            value = {"column": value}
        elif not isinstance(value, dict | cls):
            raise ValueError("must be a column's name, or hold `column` or `value`")
        elif isinstance(value, dict) and isinstance(value.get("values"), dict):
            # Keys such as 1 and true are numbers and switches in YAML, and text in a table.
            value = {**value, "values": {_as_text(k): _as_text(v) for k, v in value["values"].items()}}
        return read(value)

    @model_validator(mode="after")
    def _is_column_or_constant(self) -> "ColumnSource":
        given = [name for name in ("column", "columns", "value") if getattr(self, name) not in (None, ())]
        if len(given) != 1:
            found = ", ".join(f"`{name}`" for name in given) or "neither"
            raise ValueError(f"a column needs either `column` or `value`, or `columns`. Received: {found}. Keep one")
        if self.unit is not None and self.format is not None:
            raise ValueError("`unit` is for numbers and `format` for text. Received: both. Keep one")
        return self

    @property
    def theirs(self) -> tuple[str, ...]:
        """Names of the columns that it takes from the source."""
        return self.columns if self.column is None else (self.column,)

    @model_serializer(mode="wrap")
    def _column_alone_is_short(self, handler: SerializerFunctionWrapHandler) -> Any:
        return _shortened(handler(self), "column")


def _shortened(tree: dict[str, Any], alone: str) -> Any:
    """Return a declaration as it is written by hand: without what is absent, and as a text where that says all."""
    given = {name: value for name, value in tree.items() if value not in (None, {}, (), [])}
    return given[alone] if given.keys() == {alone} else given


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


ColumnMap = dict[str, ColumnSource]
"""Sources of columns, by our names."""


class ColumnMaps(Declaration):
    """Columns of ours by columns of theirs, for each table; a column that is not named is taken by its own name."""

    events: ColumnMap = Field(default_factory=dict)
    """Columns of the events: `user_id: visitorid`."""
    items: ColumnMap = Field(default_factory=dict)
    """Columns of the items; where no items are declared, of the events."""
    users: ColumnMap = Field(default_factory=dict)
    """Columns of the users; where no users are declared, of the events."""


class TablesSource(Declaration):
    """Tables of the interaction log, in files of any usual format, queries or databases."""

    type: Literal["tables"]
    events: TableSource
    """The events."""
    items: TableSource | None = None
    """The items; null: those of the events, with the columns that are constant for every item."""
    users: TableSource | None = None
    """The users; null: those of the events."""
    columns: ColumnMaps = ColumnMaps()
    """Columns of ours by columns of theirs."""
    order: Literal["time", "row"] = "time"
    """Order of the events: by `timestamp`, or for a log without times by the order of its rows (`row`)."""
    without_item: tuple[str, ...] = ()
    """Event types of no item, such as searches, filters and logins. Their events are left out and counted."""
    earliest: datetime | None = None
    """Time before which events are left out and counted, such as those with a filler date; null: none is."""
    latest: datetime | None = None
    """Time after which events are left out and counted; null: none is."""
    max_bad_share: float = Field(0.0, ge=0, lt=1)
    """Greatest share of bad rows. Bad rows are quarantined and counted; a greater share stops the job."""
    duplicates: Literal["drop", "keep"] = "drop"
    """Treatment of events that are equal in all columns: counted once (`drop`) or each time (`keep`)."""

    @field_validator("earliest", "latest")
    @classmethod
    def _without_a_zone_is_utc(cls, time: datetime | None) -> datetime | None:
        return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)

    @model_validator(mode="after")
    def _order_needs_or_lacks_times(self) -> "TablesSource":
        if self.order == "row" and "timestamp" in self.columns.events:
            raise ValueError(
                "`order: row` is for a log without times. Received: `columns.events.timestamp`. Remove one of them"
            )
        if self.order == "row" and (self.earliest is not None or self.latest is not None):
            raise ValueError("`order: row` is for a log without times. Received: `earliest` or `latest`. Remove it")
        if self.earliest is not None and self.latest is not None and self.latest < self.earliest:
            raise ValueError(
                f"`latest` must not lie before `earliest`. Received: {self.latest} and {self.earliest}. Correct one"
            )
        return self

    @property
    def title(self) -> str:
        """Name of the data for readers of a report."""
        return self.events.name

    @property
    def derives_tasks(self) -> bool:
        """True if a rule makes some events of the log, by the project's seed."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about the data for readers of a report."""
        if self.order == "time":
            return ()
        return (
            "The log has no times (`data.order: row`): the order of its rows stands for them. The split is by position "
            "in the log, and dates on this page count rows, a second each, from the year 2000 on.",
        )

    @property
    def leaves_out_events(self) -> bool:
        """True if some events are left out by a declaration."""
        return bool(self.without_item) or self.earliest is not None or self.latest is not None

    @property
    def drop_duplicates(self) -> bool:
        """True if events that are equal in all columns count once."""
        return self.duplicates == "drop"

    @property
    def tables(self) -> dict[str, TableSource]:
        """The declared tables by name."""
        declared = {"events": self.events, "items": self.items, "users": self.users}
        return {name: source for name, source in declared.items() if source is not None}
