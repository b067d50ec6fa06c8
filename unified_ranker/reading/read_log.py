"""Log of a reading: what was recognised in each table, and the rows that were quarantined."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.log.check import Check
from unified_ranker.log.column_types import MAX_EXAMPLES
from unified_ranker.log.quarantine import QUARANTINE
from unified_ranker.log.table_checks import known_columns

READ_FILE, READ_QUARANTINE = "read.json", "quarantine.parquet"
MOST_QUARANTINED = 100_000
"""Most rows that are written to the quarantine of a reading; all are counted."""
_REMEDIES = {
    "row has": "see whether another sign stands between the fields, or quotation marks are plain text: "
    "`data.{table}: {{files: {source}, delimiter: ';'}}` or `data.{table}: {{files: {source}, quote: ''}}`",
    "row holds": "quotation marks are plain text there: `data.{table}: {{files: {source}, quote: ''}}`",
    "is a JSON object": "write each object on a line of its own",
    "row is": "declare how the text is encoded, such as cp1251 (Cyrillic), gb18030 (Chinese), shift_jis (Japanese) "
    "or cp1250 (Central Europe): `data.{table}: {{files: {source}, encoding: cp1251}}`",
    "is a time": "declare the `unit` or `format` of the column: "
    "`data.columns.{column}: {{column: {name}, format: '%d/%m/%Y %H:%M'}}`",
    "is a number": "declare what the texts mean: "
    "`data.columns.{column}: {{column: {name}, values: {{unknown: 'null'}}}}`",
}
"""What is likely wrong with rows that break a rule, by what the rule says of them."""


@dataclass
class TableLog:
    """Log of one table.

    Attributes:
        source: name of the source.
        form: the form that was recognised.
        file: of the table in the form of the log, in the directory of the reading; None: it is used as it lies.
        rows: number of rows, bad ones included.
        bad: number of bad rows.
        reasons: number of bad rows by the rule that they break.
        examples: up to three of the bad rows by rule.
        notes: what was recognised, a sentence each.
        left_out: names of columns that are not used.
    """

    source: str
    form: str
    file: str | None = None
    rows: int = 0
    bad: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def count(self, rule: str, rows: int, examples: list[str]) -> None:
        """Count rows that break a rule."""
        if rows:
            self.bad += rows
            self.reasons[rule] = self.reasons.get(rule, 0) + rows
            known = self.examples.setdefault(rule, [])
            known += examples[: MAX_EXAMPLES - len(known)]


@dataclass
class ReadLog:
    """Log of a reading.

    Attributes:
        tables: the log of each table by its name.
        by_position: whether the order of the rows stands for times.
    """

    tables: dict[str, TableLog] = field(default_factory=dict)
    by_position: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that say what was recognised."""
        read = {name: table for name, table in self.tables.items() if table.file is not None}
        lines = [f"{name} is read from `{table.source}`: {table.form}" for name, table in read.items()]
        lines += [note for table in read.values() for note in table.notes]
        return tuple(lines)

    def checks(self, max_bad_share: float) -> list[Check]:
        """Return what was recognised as checks that pass, and a check for each rule that rows break."""
        checks = [Check(note, passed=True) for note in self.notes]
        for name, table in self.tables.items():
            too_many = table.bad > max_bad_share * table.rows
            checks += [
                Check(
                    rule,
                    passed=False,
                    count=count,
                    examples=tuple(table.examples.get(rule, [])),
                    what_to_do=_remedy(name, rule, table.source),
                    severity="error" if too_many else "warning",
                    total=table.rows,
                )
                for rule, count in table.reasons.items()
            ]
        left_out = self.tables["events"].left_out if "events" in self.tables else []
        if left_out:
            checks.append(known_columns(pa.table({name: pa.nulls(0) for name in left_out})))
        return checks

    def write(self, directory: Path) -> None:
        """Write the log into the directory of a reading."""
        (directory / READ_FILE).write_text(
            json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    @classmethod
    def read(cls, directory: Path) -> "ReadLog":
        """Read the log from the directory of a reading."""
        tree: dict[str, Any] = json.loads((directory / READ_FILE).read_text(encoding="utf-8"))
        return cls({name: TableLog(**table) for name, table in tree["tables"].items()}, tree["by_position"])


def _remedy(table: str, rule: str, source: str) -> str:
    column = rule.split(" ")[0]
    likely = next((text for said, text in _REMEDIES.items() if said in rule), "declare the column's `values`")
    said = likely.format(table=table, source=source, column=column, name=column.partition(".")[2])
    return f"correct the rows, or {said}; quarantined below `data.max_bad_share`"


@dataclass
class QuarantinedRows:
    """Rows of a reading that are quarantined, up to `MOST_QUARANTINED`."""

    parts: list[pa.Table] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)

    def add(self, table: pa.Table) -> None:
        """Add rows of the form `QUARANTINE`."""
        room = MOST_QUARANTINED - self.kept.total()
        if room > 0 and len(table):
            self.parts.append(table.slice(0, room))
            self.kept["rows"] += min(len(table), room)

    def write(self, directory: Path) -> None:
        """Write the rows into the directory of a reading, if there are any."""
        if self.parts:
            pq.write_table(pa.concat_tables(self.parts), directory / READ_QUARANTINE)


def quarantined(
    reasons: list[str], file: str, rows: Any, lines: list[str | None], events: dict[str, pa.Array]
) -> pa.Table:
    """Return quarantined rows of one file.

    Args:
        reasons: the rule that each breaks, `[rows]`.
        file: name of the file.
        rows: their numbers in it, `[rows]`.
        lines: each row as it lies, where it is no event.
        events: values of events, as text, by column.
    """
    count = len(reasons)
    columns = {
        "reason": pa.array(reasons, pa.string()),
        "file": pa.array([file] * count, pa.string()),
        "row_group": pa.nulls(count, pa.int64()),
        "row": pa.array(rows, pa.int64()),
        "line": pa.array(lines, pa.string()),
        **{name: values.cast(pa.string()) for name, values in events.items()},
    }
    return pa.table(
        [columns.get(f.name, pa.nulls(count, f.type)) for f in QUARANTINE], schema=QUARANTINE
    )  # fmt: skip
