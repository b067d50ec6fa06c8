"""Plan of a project: the tables of its log and the choices of their columns, before anything is written."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from unified_ranker.config import ColumnMaps, ColumnSource, TablesSource
from unified_ranker.core.errors import UserError, listed
from unified_ranker.log.schema import LOG_COLUMNS, SESSION
from unified_ranker.project.init.column_choices import TABLE_NAMES, Choice, Said, read_said
from unified_ranker.project.init.find_tables import LookedAtTable, find_tables, read_raw
from unified_ranker.project.init.propose_columns import propose_columns
from unified_ranker.project.init.published_layouts import fill_in, find_layout

RowOrder = Literal["time", "row"]
_QUERY = re.compile(r"\s*(select|with|from)\s", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """Arguments of `init`: the tables of a log, and what a person knows of their columns.

    Attributes:
        tables: by name a path, a pattern of paths, or a query.
        directory: where the tables that are not named are looked for; None: nowhere.
        columns: as `--map` takes them.
        task, event_type: the surface and the type of all events, where no column says them.
        order: `row` for a log without times.
    """

    tables: Mapping[str, str | Path]
    directory: Path | None = None
    columns: tuple[str, ...] = ()
    task: str | None = None
    event_type: str | None = None
    order: RowOrder = "time"

    @property
    def said(self) -> Said:
        """Statements of the person about columns."""
        return read_said(self.columns, {"task": self.task, "event_type": self.event_type})


@dataclass(frozen=True, eq=False)
class ProjectPlan:
    """Plan of a project's data.

    Attributes:
        data: the tables, without the columns.
        choices: the columns of ours, each with its source and the reason.
        left_out: columns of the events that nothing of ours is.
        title: the published log whose layout this is; "" for any other.
        notes: reasons for how a table is read, by table, and for other values of `data`, by their names.
        tables: the tables as they were looked at.
        given: the arguments.
        unread: the reason for each file of the directory that cannot be read.
        unused: reasons for which the directory's other tables are not used, by their names.
    """

    data: TablesSource
    choices: tuple[Choice, ...]
    left_out: tuple[str, ...]
    title: str
    notes: Mapping[str, str]
    tables: Mapping[str, LookedAtTable]
    given: Given
    unread: tuple[str, ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)

    @property
    def doubts(self) -> list[Choice]:
        """The choices that a person must make or confirm."""
        return [choice for choice in self.choices if choice.doubt]

    @property
    def missing(self) -> list[Choice]:
        """The columns that were not found and are needed."""
        return [choice for choice in self.choices if choice.source is None and not choice.optional]

    @property
    def mapped(self) -> TablesSource:
        """The data as project.yaml declares them."""
        maps: dict[str, dict[str, ColumnSource]] = {table: {} for table in TABLE_NAMES}
        for choice in self.choices:
            if choice.source is not None and not choice.plain:
                maps[choice.table][choice.column] = choice.source
        return self.data.model_copy(update={"columns": ColumnMaps(**maps)})

    def with_data(self, values: Mapping[str, object], why: str) -> "ProjectPlan":
        """Return the plan with other values of `data`, and the reason for them."""
        data = self.data.model_copy(update=dict(values))
        return replace(self, data=data, notes={**self.notes, **dict.fromkeys(values, why)})

    def with_no_values(self, numbers: Collection[float]) -> "ProjectPlan":
        """Return the plan in which numbers among the values of events are no values."""
        choice = next((c for c in self.choices if c.path == "value" and c.source is not None and c.taken), None)
        if choice is None or choice.source is None:
            return self
        values = choice.source.values
        texts = {f"{number:g}" for number in numbers}
        known = self.tables["events"].columns[str(choice.taken)].texts.to_pylist()
        texts |= {text for text in known if _number(values.get(text, text)) in numbers}
        source = choice.source.model_copy(update={"values": {**values, **dict.fromkeys(sorted(texts), "null")}})
        far = (
            f"{listed(f'{number:g}' for number in numbers)}: far outside of the others, so that it stands for no value"
        )
        changed = replace(choice, source=source, why=f"{choice.why}; {far}")
        return replace(self, choices=tuple(changed if c is choice else c for c in self.choices))

    def with_columns(self, texts: Iterable[str]) -> "ProjectPlan":
        """Return the plan with what else a person says of columns, as `--map` takes it."""
        return _choose(replace(self, given=replace(self.given, columns=(*self.given.columns, *texts))))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def plan_project(directory: Path, given: Given) -> ProjectPlan:
    """Plan a project in `directory` by looking at its tables.

    Raises:
        UserError: the tables cannot be read or found.
    """
    data: dict[str, object] = {"type": "tables", "order": given.order}
    title, notes, found = "", {}, {}
    unread: tuple[str, ...] = ()
    unused: Mapping[str, str] = {}
    if given.directory is not None:
        if not given.directory.is_dir():
            raise UserError(f"`--from` must be a directory. Received: `{given.directory}`. Name a file with --events.")
        layout = find_layout(given.directory)
        if layout is not None:
            published, paths = layout
            title, notes = published.title, published.notes
            data |= fill_in(published.data, {name: data_path(path, directory) for name, path in paths.items()})
        elif "events" not in given.tables:
            searched = find_tables(given.directory, given.said)
            found, unread, unused = searched.tables, searched.unread, searched.unused
            data |= {name: data_path(Path(str(t.source.files)), directory) for name, t in found.items()}
    for name, text in given.tables.items():
        query = isinstance(text, str) and _QUERY.match(text) is not None
        data[name] = {"sql": text} if query else data_path(Path(text), directory)
        found.pop(name, None)
    if "events" not in data:
        raise UserError(
            "`init` needs a table of events. Received: none. Name it with --events, or its directory with --from."
        )
    source = TablesSource.model_validate(data)
    tables = {name: found.get(name) or read_raw(table, directory) for name, table in source.tables.items()}
    return _choose(ProjectPlan(source, (), (), title, notes, tables, given, unread, unused))


def data_path(path: Path, directory: Path) -> str:
    """Return a table's path as project.yaml has it: relative inside `directory`, so that both can move."""
    # Not `resolve`: a link to the data is a path that the user chose.
    absolute, base = Path(os.path.abspath(path)), Path(os.path.abspath(directory))
    inside = absolute.is_relative_to(base) and absolute != base
    return (absolute.relative_to(base) if inside else absolute).as_posix()


def _choose(plan: ProjectPlan) -> ProjectPlan:
    """Return a plan with its columns chosen."""
    columns = {name: table.columns for name, table in plan.tables.items()}
    names = {name: table.name for name, table in plan.tables.items()}
    said = plan.given.said
    for table, key in (("items", "item_id"), ("users", "user_id")):
        if table not in columns and key in said[table]:
            raise UserError(
                f"`--map`: `{table}.{key}` needs a table of {table}. Received: none, so the {table} are those of the "
                f"events' `{key}`. Name it with --{table}, or leave `{table}.{key}` out."
            )
    choices = propose_columns(columns, said, names, timed=plan.data.order == "time")
    keys = {choice.column: choice.taken for choice in choices if choice.table == "events" and choice.taken}
    if "user_id" in keys and keys["user_id"] == keys.get("item_id"):
        raise UserError(
            f"`--map`: `user_id` and `item_id` must be two columns. Received: `{keys['user_id']}` for both. "
            "Correct one."
        )
    taken = {name for choice in choices if choice.table == "events" for name in choice.takes}
    taken |= {*LOG_COLUMNS["events"], SESSION}
    # Without a table of items, the other columns of the events describe the items.
    left = [] if plan.data.items is None else [name for name in columns["events"] if name not in taken]
    return replace(plan, choices=tuple(choices), left_out=tuple(left))
