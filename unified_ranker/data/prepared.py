"""What `prepare` leaves for training and evaluation: the catalogue, histories, examples and the split."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.config import Config
from unified_ranker.data.examples import (
    EventColumns,
    Examples,
    Histories,
    Ints,
    Strings,
    build_events,
    build_examples,
    build_histories,
    catalogue_order,
    match_positives,
    seconds,
)
from unified_ranker.errors import UserError
from unified_ranker.schema import InteractionLog


@dataclass(frozen=True)
class SplitTimes:
    """Bounds of the temporal split in seconds: train < `train_end` <= validation < `fit_end` <= test."""

    train_end: int
    validation_end: int


@dataclass(frozen=True)
class Prepared:
    """Everything that training and evaluation read. Item and user indices are row numbers of `items` and `users`."""

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
        """Write the tables as Parquet into `directory`, which must exist."""
        self.items.to_parquet(directory / "items.parquet")
        self.users.to_parquet(directory / "users.parquet")
        offsets = pa.table({"offset": self.histories.offsets})
        pq.write_table(offsets, directory / "history_offsets.parquet")
        pq.write_table(_table(self.histories, skip=("offsets",)), directory / "histories.parquet")
        pq.write_table(_table(self.events), directory / "events.parquet")
        pq.write_table(_table(self.examples), directory / "examples.parquet")
        bounds = pa.table({f.name: [getattr(self.split, f.name)] for f in fields(self.split)})
        pq.write_table(bounds, directory / "split.parquet")

    @classmethod
    def load(cls, directory: Path) -> "Prepared":
        """Read what `save` wrote."""
        histories = _columns(directory / "histories.parquet")
        histories["offsets"] = _columns(directory / "history_offsets.parquet")["offset"]
        bounds = _columns(directory / "split.parquet")
        return cls(
            items=pd.read_parquet(directory / "items.parquet"),
            users=pd.read_parquet(directory / "users.parquet"),
            events=EventColumns(**_columns(directory / "events.parquet")),
            histories=Histories(**histories),
            examples=Examples(**_columns(directory / "examples.parquet")),
            split=SplitTimes(**{name: int(column[0]) for name, column in bounds.items()}),
        )


def prepare(log: InteractionLog, config: Config) -> Prepared:
    """Make the point-in-time examples of a validated log.

    Raises:
        UserError: when a declared task has no positive, or no example is left to train on.
    """
    items = log.items.iloc[catalogue_order(log)].reset_index(drop=True)
    users = log.users.sort_values("user_id", kind="stable").reset_index(drop=True)
    item_ids, user_ids = items["item_id"].to_numpy(object), users["user_id"].to_numpy(object)
    histories = build_histories(log, item_ids, user_ids)
    positives = match_positives(log, config.tasks)
    events = build_events(log, item_ids, positives[0])
    examples = build_examples(log, positives, item_ids, user_ids, histories)
    for name in config.tasks:
        if not (examples.task == name).any():
            raise UserError(_no_positives(log, config, name))
    split = split_times(examples.timestamp, config)
    return Prepared(items, users, events, histories, examples, split)


def split_times(timestamps: Ints, config: Config) -> SplitTimes:
    """Place the bounds at the quantiles of labelled-event times that `project.split` names."""
    shares = config.project.split
    low, high = np.quantile(timestamps, [shares.train, shares.train + shares.validation])
    return SplitTimes(train_end=int(np.ceil(low)), validation_end=int(np.ceil(high)))


def _no_positives(log: InteractionLog, config: Config, task: str) -> str:
    wanted = [p.model_dump(exclude_defaults=True) for p in config.tasks[task].positives]
    of_task = log.events[log.events["task"] == task]
    found = of_task["event_type"].value_counts().to_dict() or "no event of this task"
    return (
        f"`tasks/{task}.yaml`, `positives`: a task needs at least one positive event. "
        f"Received: {wanted}, while the log holds {found}. Correct `event_type` or `min_value`, or remove the file."
    )


def _table(record: object, skip: tuple[str, ...] = ()) -> pa.Table:
    names = [f.name for f in fields(record) if f.name not in skip]  # type: ignore[arg-type]
    return pa.table({name: pa.array(getattr(record, name)) for name in names})


def _columns(path: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(path)
    out = {}
    for name in table.column_names:
        column = table[name].to_numpy()
        out[name] = column.astype(object) if column.dtype.kind == "O" else column
    return out
