"""Logs of a few rows that a test writes itself, as a log or through the real preparation. Needs no TensorFlow."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from unified_ranker.config import Config, EvaluationSettings, Positive, ProjectFile, Task
from unified_ranker.core.arrays import MISSING
from unified_ranker.log.schema import InteractionLog, normalise
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared, prepare
from unified_ranker.prepare.split_times import SplitTimes

START = 1_600_000_000
HOUR = 3600


def task(**settings: object) -> Task:
    return Task(positives=(Positive(event_type="like"),), **settings)


def event(user: str | None, item: str, hour: float, task: str = "home_feed", **more: object) -> dict:
    """One row of the log; `hour` counts from `START`. Every like is a positive."""
    row = {"user_id": user, "item_id": item, "task": task, "event_type": "like", "timestamp": _stamp(hour)}
    return row | more


def item(item_id: str, title: str | None = None, created: float | None = None) -> dict:
    return {"item_id": item_id, "title": title, "created_at": None if created is None else _stamp(created)}


def at(hour: float) -> int:
    return START + round(hour * HOUR)


def _stamp(hour: float) -> pd.Timestamp:
    return pd.Timestamp(at(hour), unit="s", tz="UTC")


def log_of(
    events: Sequence[Mapping],
    items: str | Mapping[str, Sequence] | Sequence[Mapping] | pd.DataFrame = "abc",
    users: Mapping[str, Sequence] | pd.DataFrame | None = None,
) -> InteractionLog:
    """A log; `items` are rows or columns, or ids of one letter each."""
    catalogue = {"item_id": list(items)} if isinstance(items, str) else items
    people = None if users is None else pd.DataFrame(users)
    return normalise(pd.DataFrame(events), pd.DataFrame(catalogue), people)


def world(
    events: Sequence[Mapping],
    items: Sequence[Mapping],
    tasks: Mapping[str, Task],
    split: tuple[float, float] | None = None,
    users: pd.DataFrame | None = None,
    **evaluation: int,
) -> tuple[Prepared, Config]:
    """Prepare a log; `split` sets the ends of training and validation in hours."""
    config = Config(
        project=ProjectFile(
            name="toy",
            data={"type": "tables", "events": "events.parquet", "items": "items.parquet"},
            evaluation=EvaluationSettings(**evaluation),
        ),
        tasks=dict(tasks),
    )
    prepared = prepare(log_of(events, items, users), config)
    if split is not None:
        prepared = dataclasses.replace(prepared, split=SplitTimes(*(at(hour) for hour in split)))
    return prepared, config


def ask(prepared: Prepared, hour: float, task: str = "home_feed", **fields: str) -> Examples:
    """One request by names: `user`, `item`, `source`, `query_item`, `query`, `country`."""
    items = {name: place for place, name in enumerate(prepared.item_ids)}
    users = {name: place for place, name in enumerate(prepared.user_ids)}

    def ints(value: int) -> np.ndarray:
        return np.array([value], np.int64)

    def text(value: str) -> np.ndarray:
        return np.array([value], object)

    return Examples(
        user=ints(users.get(fields.get("user"), MISSING)),
        task=text(task),
        item=ints(items.get(fields.get("item"), MISSING)),
        source_item=ints(items.get(fields.get("source"), MISSING)),
        query_item=ints(items.get(fields.get("query_item"), MISSING)),
        query=text(fields.get("query", "")),
        country=text(fields.get("country", "")),
        timestamp=ints(at(hour)),
        head=text("like"),
        weight=np.ones(1, np.float32),
        history_length=ints(0),
        value=np.full(1, np.nan, np.float32),
        retrieved=np.ones(1, bool),
    )


def by_id(prepared: Prepared, row: np.ndarray) -> dict[str, float]:
    """Scores (or a mask) of one request by item id."""
    return dict(zip(prepared.item_ids.tolist(), row.tolist(), strict=True))
