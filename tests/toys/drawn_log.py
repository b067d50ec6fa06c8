"""Drawn events of a small log, and writers of files in the forms of others."""

import gzip
import json

import numpy as np
import pandas as pd

USERS, ITEMS, EVENTS = 60, 40, 900
TITLES = ["Amélie", "La Notte", "Ran", "Stalker", "Playtime", "Alien", "Brazil", "Heat"]


def drawn(seed=7, first="2019-10-01", days=60):
    """Draw events: users and items by number, times to the second, an item and a user more often than others."""
    rng = np.random.default_rng(seed)
    start = int(pd.Timestamp(first).timestamp())
    events = pd.DataFrame(
        {
            "user": (rng.random(EVENTS) ** 1.5 * USERS).astype(int),
            "item": (rng.random(EVENTS) ** 1.5 * ITEMS).astype(int),
            "time": start + rng.integers(0, days * 86_400, EVENTS),
            "draw": rng.random(EVENTS),
        }
    )
    return events.drop_duplicates(["user", "item", "time"]).sort_values("time", ignore_index=True)


def choose(draw, shares):
    """Return a name for each draw in [0, 1), by the names' shares."""
    edges = np.cumsum(list(shares.values()))
    return np.array(list(shares))[np.searchsorted(edges / edges[-1], draw, side="right")]


def stamped(seconds):
    return pd.to_datetime(seconds, unit="s", utc=True)


def log(user, item, time, event_type, value=np.nan):
    """Return the events that a layout holds; time None: their order is all there is."""
    times = pd.NaT if time is None else pd.Series(list(time))
    return pd.DataFrame(
        {
            "user_id": pd.Series(list(user)).astype(str),
            "item_id": pd.Series(list(item)).astype(str),
            "timestamp": times,
            "event_type": event_type if isinstance(event_type, str) else list(event_type),
            "value": value if np.isscalar(value) else list(value),
        }
    )


def csv(frame, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, **options)


def json_lines(rows, path):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write(text)


def titles(count=ITEMS):
    return [f"{TITLES[i % len(TITLES)]} {i}" for i in range(count)]
