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
    """Bounds of the split in seconds: train < `train_end` <= validation < `validation_end` <= test."""

    train_end: int
    validation_end: int


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
            items=_frame(directory / "items.parquet"),
            users=_frame(directory / "users.parquet"),
            events=EventColumns(**_columns(directory / "events.parquet")),
            histories=Histories(**histories),
            examples=Examples(**_columns(directory / "examples.parquet")),
            split=SplitTimes(**{name: int(column[0]) for name, column in bounds.items()}),
        )


def prepare(log: InteractionLog, config: Config) -> Prepared:
    """Make the point-in-time examples of a validated log.

    Raises:
        UserError: a declared task has no positive.
    """
    items = log.items.iloc[catalogue_order(log)].reset_index(drop=True)
    users = _all_users(log)
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


def _all_users(log: InteractionLog) -> pd.DataFrame:
    """Return the users table by id, with a row of nulls for every user that only events name."""
    ids = pd.concat([log.users["user_id"], log.events["user_id"].dropna()]).drop_duplicates().sort_values()
    return log.users.set_index("user_id").reindex(pd.Index(ids, name="user_id")).reset_index()


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
        f"Received: {wanted}, while the log holds {found}. "
        "Correct `event_type` or `min_value`, or remove the file."
    )


def _table(record: object, skip: tuple[str, ...] = ()) -> pa.Table:
    columns = {f.name: getattr(record, f.name) for f in fields(record) if f.name not in skip}  # type: ignore[arg-type]
    # Without its type, a text column with no rows would come back as something else.
    return pa.table({n: pa.array(c, pa.string() if c.dtype == object else None) for n, c in columns.items()})


def _columns(path: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def _frame(path: Path) -> pd.DataFrame:
    """Read what `DataFrame.to_parquet` wrote, with lists as lists, not as the arrays of pandas' reader."""
    frame = pd.read_parquet(path)
    for name in frame.columns:
        if pd.api.types.is_object_dtype(frame[name]):
            values = [v.tolist() if isinstance(v, np.ndarray) else v for v in frame[name]]
            frame[name] = pd.Series(values, frame.index, dtype=object)
    return frame
