"""The task of the second and third way: which kinds of article will a customer buy in the sixty days after a moment?

A kind is the last word of an article's title: the twenty with the most articles ("holder", "bag", "mug" …). Customers
are those who bought before the moment; every second one is for learning, the others are for measuring. Nothing that
happened from the moment on is in the histories, nor in the log that the release was trained on.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.request import History, Request, to_arrays

KINDS, DAYS = 20, 60
MOMENT = pd.Timestamp("2011-09-01", tz="UTC")


@dataclass(frozen=True)
class NextKinds:
    """Customers as requests, with what they bought then.

    Attributes:
        requests: inputs of the signature `encode`, `[customers, …]`.
        habits: days since the last purchase, how many there were, and of what worth, log(1 + x), `[customers, 3]`.
        counts: how often each kind was bought before, log(1 + n), `[customers, kinds]`.
        labels: whether a kind was bought after, `[customers, kinds]`.
        learning: which customers are learnt from, bool `[customers]`.
    """

    requests: Arrays
    habits: np.ndarray
    counts: np.ndarray
    labels: np.ndarray
    learning: np.ndarray

    def part(self, rows: np.ndarray) -> tuple[Arrays, np.ndarray]:
        """Return requests and labels at `rows`."""
        return {name: column[rows] for name, column in self.requests.items()}, self.labels[rows]


def load_task(data: Path, history_length: int) -> NextKinds:
    """Read the Retail log in `data` (docs/reference/interaction-log.md)."""
    items = pd.read_parquet(data / "items.parquet")
    last = items["title"].fillna("").str.lower().map(lambda title: (re.findall("[a-z]{3,}", title) or [""])[-1])
    kinds = [kind for kind in last.value_counts().index if kind][:KINDS]
    number = {item: kinds.index(kind) for item, kind in zip(items["item_id"], last, strict=True) if kind in kinds}
    events = pd.read_parquet(data / "events.parquet")
    events = events[(events["task"] == "home_feed") & events["user_id"].notna()].sort_values("timestamp")
    before = events[events["timestamp"] < MOMENT]
    after = events[(events["timestamp"] >= MOMENT) & (events["timestamp"] < MOMENT + pd.Timedelta(days=DAYS))]
    users = sorted(before["user_id"].unique())
    moment = int(MOMENT.timestamp())
    requests = [
        Request(user, "home_feed", timestamp=moment, history=_history(rows.tail(history_length)))
        for user, rows in before.groupby("user_id", sort=True)
    ]
    counts, labels = (_count(rows, users, number) for rows in (before, after))
    learning = np.arange(len(users)) % 2 == 0
    return NextKinds(
        requests=to_arrays(requests, history_length),
        habits=_habits(before),
        counts=np.log1p(counts),
        labels=(labels > 0).astype(np.float32),
        learning=learning,
    )


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over kinds of the average precision over customers; both `[customers, kinds]`."""
    out = []
    for score, label in zip(scores.T, labels.T, strict=True):
        if label.any():
            hit = label[np.argsort(-score, kind="stable")] > 0
            out.append(float((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].mean()))
    return float(np.mean(out))


def _habits(before: pd.DataFrame) -> np.ndarray:
    by = before.groupby("user_id", sort=True)
    days = (MOMENT - by["timestamp"].max()).dt.days
    return np.log1p(np.stack([days, by.size(), by["value"].sum()], 1).astype(np.float32))


def _history(rows: pd.DataFrame) -> History:
    times = rows["timestamp"].dt.as_unit("s").astype("int64").to_numpy()
    return History(
        item_id=rows["item_id"].to_numpy(object),
        event_type=rows["event_type"].to_numpy(object),
        task=rows["task"].to_numpy(object),
        timestamp=times,
        value=rows["value"].fillna(0).to_numpy(np.float32),
    )


def _count(rows: pd.DataFrame, users: list[str], number: dict[str, int]) -> np.ndarray:
    place = {user: row for row, user in enumerate(users)}
    out = np.zeros((len(users), KINDS), np.float32)
    for user, item in zip(rows["user_id"], rows["item_id"], strict=True):
        if item in number and user in place:
            out[place[user], number[item]] += 1
    return out
