"""Prepared data: the catalogue, histories, examples and the split that training and evaluation read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints, Mask, Strings
from unified_ranker.core.candidate_rule import existed_before
from unified_ranker.core.times import seconds
from unified_ranker.engines.in_process import InProcess
from unified_ranker.engines.job import Reader
from unified_ranker.engines.shards import MemoryShards, read_parts, write_parts
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.examples import EventColumns, Examples, Histories
from unified_ranker.prepare.prepare_job import prepare_job
from unified_ranker.prepare.shuffle_stage import names_of
from unified_ranker.prepare.split_times import SplitTimes
from unified_ranker.prepare.stage_names import (
    FINISH_STAGE,
    HISTORIES_STAGE,
    ORDER_STAGE,
    SECOND,
    TABLES_STAGE,
    USERS_STAGE,
    LogSource,
)
from unified_ranker.prepare.table_splits import Piece

NAMES_FILE, SPLIT_FILE, ITEMS_FILE, USERS_FILE = "names.json", "split.json", "items.arrow", "users.arrow"


@dataclass(frozen=True)
class Prepared:
    """Everything that training and evaluation read.

    Attributes:
        items: `[items]`, in catalogue order; an item's index is its row.
        users: `[users]`, by id; a user's index is their row. Users that only events name have no profile.
        events: every event, in order of time.
        histories: the events of users, by user and time.
        examples: the positives, in order of time.
        split: bounds of the temporal split.
    """

    items: pd.DataFrame
    users: pd.DataFrame
    events: EventColumns
    histories: Histories
    examples: Examples
    split: SplitTimes

    @property
    def item_ids(self) -> Strings:
        """Item ids by index, `[items]`."""
        return self.items["item_id"].to_numpy(object)

    @property
    def user_ids(self) -> Strings:
        """User ids by index, `[users]`."""
        return self.users["user_id"].to_numpy(object)

    @property
    def created_at(self) -> Ints:
        """Creation time of each item in seconds, `[items]`; the least int64 where absent."""
        return seconds(self.items["created_at"])

    def ids_of(self, items: Ints) -> Strings:
        """Return the ids of items by their indices `[n]`, "" for `MISSING`."""
        return np.where(items == MISSING, "", self.item_ids[items])

    def items_before(self, end: int) -> Mask:
        """Mark the items that existed before the end (exclusive, seconds) of a window, `[items]`."""
        return existed_before(self.created_at, end)

    def items_learnt(self, end: int) -> Mask:
        """Mark the items from which a model learns before an end (exclusive, seconds), `[items]`.

        They are in a positive, as its item or its source, or in a history. An item that was only shown is not among
        them: its id would be trained as a negative alone.
        """
        past, before = self.between(None, end), self.histories.timestamp < end
        found = np.zeros(len(self.items) + 1, bool)
        for items in (past.item, past.source_item, self.histories.item[before]):
            # The last one is for `MISSING`.
            found[items] = True
        return found[:-1]

    def between(self, start: int | None, end: int | None) -> Examples:
        """Return the examples with `start` <= time < `end` (seconds; None = unbounded)."""
        times = self.examples.timestamp
        keep = np.ones(len(times), bool)
        if start is not None:
            keep &= times >= start
        if end is not None:
            keep &= times < end
        return self.examples.take(keep)

    def save(self, directory: Path) -> None:
        """Write the tables into `directory`, which must exist, in the format of `publish`, in one shard each."""
        coded: dict[str, list[str]] = {
            "tasks": sorted({*self.histories.task, *self.examples.task}),
            "event_types": sorted({*self.histories.event_type, *self.events.event_type}),
            "heads": sorted({*self.examples.head}),
        }
        _write_json(directory / NAMES_FILE, coded)
        _write_json(directory / SPLIT_FILE, vars(self.split))
        for name, frame in ((ITEMS_FILE, self.items), (USERS_FILE, self.users)):
            write_parts(directory / name, [pa.Table.from_pandas(frame, preserve_index=False)])
        histories = {n: getattr(self.histories, n) for n in ("item", "event_type", "task", "value", "user")}
        histories["time"] = self.histories.timestamp * SECOND
        for name, columns in (
            ("histories", histories),
            ("events", vars(self.events)),
            ("examples", vars(self.examples)),
        ):
            (directory / name).mkdir()
            table = pa.table({n: pa.array(_coded(n, c, coded)) for n, c in columns.items()})
            write_parts(directory / name / "00000.arrow", [table])

    @classmethod
    def load(cls, directory: Path) -> "Prepared":
        """Read what `save` or `publish` wrote."""
        names = json.loads((directory / NAMES_FILE).read_text(encoding="utf-8"))
        of_rows = (names["tasks"], names["event_types"])
        users = to_frame(read_parts(directory / USERS_FILE))
        return cls(
            items=to_frame(read_parts(directory / ITEMS_FILE)),
            users=users,
            events=to_events(read_folder(directory / "events"), of_rows),
            histories=to_histories(read_folder(directory / "histories"), of_rows, len(users)),
            examples=to_examples(read_folder(directory / "examples"), of_rows, names["heads"]),
            split=SplitTimes(**json.loads((directory / SPLIT_FILE).read_text(encoding="utf-8"))),
        )


def prepare(log: InteractionLog, config: Config) -> Prepared:
    """Make the point-in-time examples of a validated log that fits in memory, by the stages of `prepare_job`.

    Raises:
        UserError: a declared task has no positive.
    """
    tables = [pa.Table.from_pandas(t, preserve_index=False) for t in (log.events, log.items, log.users)]
    source = LogSource(((Piece(len(log.events), table=tables[0]),),), tables[1], tables[2])
    shards = MemoryShards()
    InProcess().run(prepare_job(source, config, check=False), shards)
    return _read_prepared(shards, config)


def _read_prepared(reader: Reader, config: Config) -> Prepared:
    """Read what the stages of `prepare_job` have made."""
    users = to_frame(reader.read(USERS_STAGE, 0, "users"))
    names = names_of(reader)
    bounds = reader.read(FINISH_STAGE, 0, "split").to_pylist()[0]
    return Prepared(
        items=to_frame(reader.read(TABLES_STAGE, 0, "items")),
        users=users,
        events=to_events(reader.gather(ORDER_STAGE, "events"), names),
        histories=to_histories(reader.gather(HISTORIES_STAGE, "histories"), names, len(users)),
        examples=to_examples(reader.gather(ORDER_STAGE, "examples"), names, config.heads),
        split=SplitTimes(**bounds),
    )


EventNames = tuple[list[str], list[str]]
"""Names of tasks and of event types, in order of their numbers."""


def to_histories(table: pa.Table, names: EventNames, users: int, first: int = 0) -> Histories:
    """Return histories of so many users, from the `first` on, from their rows by (user, time)."""
    counts = np.bincount(table["user"].to_numpy() - first, minlength=users)
    return Histories(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=_ints(table["item"]),
        event_type=_named(table["event_type"], names[1]),
        task=_named(table["task"], names[0]),
        timestamp=np.floor_divide(table["time"].to_numpy(), SECOND),
        value=_floats(table["value"], 0.0),
    )


def to_events(table: pa.Table, names: EventNames) -> EventColumns:
    """Return events from rows in order of time."""
    return EventColumns(
        item=_ints(table["item"]),
        event_type=_named(table["event_type"], names[1]),
        timestamp=_ints(table["timestamp"]),
        value=_floats(table["value"], np.nan),
        positive=table["positive"].to_numpy(),
    )


def to_examples(table: pa.Table, names: EventNames, heads: Sequence[str]) -> Examples:
    """Return examples from rows in order of time."""
    return Examples(
        user=_ints(table["user"]),
        task=_named(table["task"], names[0]),
        item=_ints(table["item"]),
        source_item=_ints(table["source_item"]),
        query_item=_ints(table["query_item"]),
        query=_texts(table["query"]),
        country=_texts(table["country"]),
        timestamp=_ints(table["timestamp"]),
        head=_named(table["head"], list(heads)),
        weight=table["weight"].to_numpy(),
        history_length=_ints(table["history_length"]),
        # The log beside a release of an earlier version has neither; the ranking service imports it all the same.
        value=_floats(table["value"], np.nan)
        if "value" in table.column_names
        else np.full(len(table), np.nan, np.float32),
        retrieved=table["retrieved"].to_numpy() if "retrieved" in table.column_names else np.ones(len(table), bool),
    )


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table of items or users as pandas, with Python lists in place of Arrow's arrays."""
    frame = table.to_pandas()
    for name in frame.columns:
        if pd.api.types.is_object_dtype(frame[name]):
            values = [v.tolist() if isinstance(v, np.ndarray) else v for v in frame[name]]
            frame[name] = pd.Series(values, frame.index, dtype=object)
    return frame


def read_folder(directory: Path) -> pa.Table:
    """Return the concatenated shards of a table, memory-mapped."""
    return pa.concat_tables([read_parts(file) for file in sorted(directory.glob("*.arrow"))])


def _write_json(file: Path, tree: Any) -> None:
    file.write_text(json.dumps(tree, indent=2), encoding="utf-8")


def _coded(name: str, column: np.ndarray, names: dict[str, list[str]]) -> np.ndarray:
    """Return a column of names as their numbers; other columns as they are."""
    known = names.get({"task": "tasks", "event_type": "event_types", "head": "heads"}.get(name, ""))
    if known is None:
        return column
    return (
        np.searchsorted(np.array(known, str), column.astype(str)).astype(np.int16) if known else np.zeros(0, np.int16)
    )


def _ints(column: pa.ChunkedArray) -> Ints:
    return column.to_numpy().astype(np.int64)


def _floats(column: pa.ChunkedArray, absent: float) -> np.ndarray:
    return column.fill_null(absent).to_numpy().astype(np.float32)


def _named(column: pa.ChunkedArray, names: list[str]) -> Strings:
    """Return the names of numbers, "" for `MISSING`; all rows of a name share one Python string."""
    return np.array([*names, ""], object)[column.to_numpy()]


def _texts(column: pa.ChunkedArray) -> Strings:
    """Return text with "" for null; equal rows share one Python string."""
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    names = np.array([*coded.dictionary.to_pylist(), ""], object)
    return names[coded.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)]


def fit_end_of(prepared: Prepared, config: Config) -> int:
    """Return the end of the fit window of a prepared log in seconds; see `SplitTimes.fit_end`."""
    return prepared.split.fit_end(config)
