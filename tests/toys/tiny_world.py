"""A tiny world whose answers are known: two communities of users and items, titles that name, sources that lead on.

Users with an even number like the first nine items and click among them, the others the next nine. A query is the
first word of the title that it finds; a source item is followed by the next one of its community. The last two items
are twins, created after the fit window, that nobody has touched. What is slow to build is built once a process.
"""

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.request import to_arrays
from unified_ranker.core.times import DAY
from unified_ranker.export.savedmodel import save_model
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared, fit_end_of, prepare
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.trained import TrainedModel
from unified_ranker.training.training_job import train

START = pd.Timestamp("2024-01-01", tz="UTC")
DAYS, USERS, COMMUNITY = 60, 30, 9
ITEMS = 2 * COMMUNITY + 2
TWINS = ("i18", "i19")
WORDS = (
    "amber", "birch", "cobalt", "denim", "ember", "fjord", "garnet", "hazel", "indigo",
    "jasmine", "khaki", "lilac", "maple", "nickel", "ochre", "pewter", "quartz", "russet", "twin",
)  # fmt: skip
UNDATED = "i03"
LENGTH, DIM, QUALITY = 8, 8, 4
FRESHNESS = 3
STATES = (
    "embedding", "source", "context", "task", "history", "history_mask", "timestamp",
    "words", "source_item", "recent", "recent_time",
)  # fmt: skip
NOW = int(START.timestamp()) + DAYS * DAY

TASKS: Mapping[str, Any] = {
    "search": {"positives": [{"event_type": "click"}]},
    "more_like_this": {
        "positives": [{"event_type": "click"}, {"event_type": "buy", "weight": 2.0}],
        "imputation": {"query": "source_item_title", "source_item": "last_history_item"},
        "score": {"click": 1.0, "buy": 2.0},
        "quality_weights": {"freshness": 0.05},
    },
    "home_feed": {
        "positives": [{"event_type": "rating", "min_value": 4, "head": "like"}],
        "first_engagement_only": True,
        "exclude_engaged": True,
        "quality_weights": {"popularity": 0.1, "freshness": 0.05},
    },
}
SERVING = {"serving": {"candidates": 12, "limit": 5}}
TOWERS: Mapping[str, Any] = {
    "item": {
        "dim": 8,
        "id_mask_rate": 0.1,
        "features": [
            {"type": "text", "column": "title"},
            {"type": "categories", "column": "categories"},
            {"type": "number", "column": "price", "log": True},
        ],
        "text": {"type": "hashed", "buckets": 1024, "character_ngram": 4},
        "quality": {
            "popularity": {"type": "popularity"},
            "trend": {"type": "popularity", "window_days": 7},
            "rating": {"type": "mean_value", "prior": 2},
            "freshness": {"type": "freshness", "scale_days": 5},
        },
    },
    "user": {
        "history_length": 8,
        "encoder": {"type": "transformer", "layers": 1, "heads": 2, "dropout": 0.0},
        "profile": [{"type": "category", "column": "country"}, {"type": "number", "column": "age"}],
        "objective": {"k": 2, "decay": 2.0},
    },
    "ranker": {
        "hidden": 8,
        "experts": 2,
        "dropout": 0.0,
        "signals": [
            {"type": "lexical", "candidates": 3},
            {"type": "source_pairs", "neighbours": 6, "candidates": 2},
            {"type": "source_walks", "neighbours": 12, "candidates": 2},
            {"type": "successions", "window": 2, "neighbours": 5, "candidates": 2},
            # Further back than the user tower reads.
            {"type": "repeats", "window": 12, "reach": 2, "candidates": 2},
        ],
    },
}
TRAINING: Mapping[str, Any] = {
    "epochs": 12,
    "batch_examples": 200,
    "learning_rate": 0.03,
    "ranking_examples": 64,
    "ranking_candidates": 12,
}


def config(training: Mapping[str, Any] | None = None, **changes: Mapping[str, Any]) -> Config:
    """Declare the world; `training` and whole files by `item=`, `context=`, `search=`, … replace single keys."""
    tasks = {name: {**SERVING, **task, **changes.get(name, {})} for name, task in TASKS.items()}
    towers = {name: {**TOWERS.get(name, {}), **changes.get(name, {})} for name in ("item", "user", "context", "ranker")}
    files = {"type": "tables", "events": "events.parquet", "items": "items.parquet"}
    project = {"name": "tiny", "data": files, "seed": 11, "training": {**TRAINING, **(training or {})}}
    return Config.model_validate({"project": project, "towers": towers, "tasks": tasks})


def items_table() -> pd.DataFrame:
    numbers = range(ITEMS)
    community = ["red", "blue", "new"]
    created = [START - pd.Timedelta(20 - n, "D") for n in numbers]
    created[3] = None
    created[18] = created[19] = START + pd.Timedelta(DAYS - 2, "D")
    return pd.DataFrame(
        {
            "item_id": [f"i{n:02}" for n in numbers],
            "title": [f"{WORDS[min(n, 18)]} {('lamp', 'chair', 'vase')[n // COMMUNITY]}" for n in numbers],
            "created_at": created,
            "categories": [[community[n // COMMUNITY], "home"] for n in numbers],
            "price": [None if n == 5 else float(10 + min(n, 18) % 4) for n in numbers],
            "latitude": [
                None if n == 7 else (51.5, 48.9, 51.5)[n // COMMUNITY] + 0.01 * (n % COMMUNITY) for n in numbers
            ],
            "longitude": [(-0.1, 2.3, 2.3)[n // COMMUNITY] for n in numbers],
        }
    )


def users_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": [f"u{n:02}" for n in range(USERS)],
            "country": [("GB", "US", None)[n % 3] for n in range(USERS)],
            "age": [None if n % 5 == 0 else 20.0 + n for n in range(USERS)],
        }
    )


def events_table() -> pd.DataFrame:
    """Every user does something every second day or so, at another second than anybody else."""
    rng = np.random.default_rng(5)
    rows = []
    for day in range(DAYS):
        for user in range(USERS):
            for turn in range(int(rng.random() < 0.5)):
                when = START + pd.Timedelta(day, "D") + pd.Timedelta(600 * user + turn, "s")
                rows.append({"user_id": f"u{user:02}", "timestamp": when, **_action(rng, user)})
    return pd.DataFrame(rows)


def _action(rng: np.random.Generator, user: int) -> dict[str, Any]:
    own = COMMUNITY * (user % 2)
    item = own + int(rng.integers(COMMUNITY))
    kind = rng.random()
    if kind < 0.3:
        other = rng.random() < 0.2
        item = (item + COMMUNITY) % (2 * COMMUNITY) if other else item
        return _row("home_feed", "rating", item, value=2.0 if other else 5.0)
    if kind < 0.4:
        return _row("home_feed", "view", item)
    if kind < 0.7:
        item = int(rng.integers(2 * COMMUNITY))
        anonymous = {"user_id": None} if rng.random() < 0.1 else {}
        return _row("search", "click", item, query=WORDS[item], country="DE", **anonymous)
    source = own + int(rng.integers(COMMUNITY))
    event_type = "buy" if rng.random() < 0.3 else "click"
    given = {"source_item_id": f"i{source:02}"} if rng.random() < 0.9 else {}
    return _row("more_like_this", event_type, successor(source), **given)


def successor(source: int) -> int:
    """Return the item that follows a source item."""
    return source // COMMUNITY * COMMUNITY + (source + 1) % COMMUNITY


def _row(task: str, event_type: str, item: int, **more: Any) -> dict[str, Any]:
    blank = {"query": None, "source_item_id": None, "country": None, "value": None}
    return {**blank, "task": task, "event_type": event_type, "item_id": f"i{item:02}", **more}


def tables() -> dict[str, pd.DataFrame]:
    """The three tables of the world."""
    return {"events": events_table(), "items": items_table(), "users": users_table()}


@functools.cache
def prepared() -> Prepared:
    """The world, prepared."""
    return prepare(normalise(**tables()), config())


@functools.cache
def trained() -> TrainedModel:
    """The joint model of the world, trained; nobody may change it."""
    with tempfile.TemporaryDirectory() as checkpoints:
        return train(prepared(), config(), Path(checkpoints))


@functools.cache
def saved_model() -> tempfile.TemporaryDirectory[str]:
    """A directory with the world's SavedModel, which goes with the process."""
    directory = tempfile.TemporaryDirectory()
    model = trained().model
    save_model(model, model.item_vectors().numpy(), Path(directory.name))
    return directory


@functools.cache
def served() -> Any:
    """The world's SavedModel, loaded."""
    return tf.saved_model.load(saved_model().name)


def call(signature: str, **arrays: Any) -> dict[str, np.ndarray]:
    """Run a signature of the served model on arrays."""
    out = served().signatures[signature](**{name: tf.constant(array) for name, array in arrays.items()})
    return {name: value.numpy() for name, value in out.items()}


def late_examples() -> Examples:
    """Return the examples behind the fit window."""
    return prepared().between(fit_end_of(prepared(), config()), None)


# --- the served model, as tests ask it ----------------------------------------------------------------------------


def states(encoded):
    return {f"state_{name}": encoded[f"state_{name}"] for name in STATES}


def everything(world, rows):
    return np.tile(world.item_ids, (rows, 1))


def events(count, first=NOW - 100 * 3600, every=3600):
    return [
        {
            "item_id": f"i{n % 18:02}",
            "event_type": "click",
            "task": "search",
            "timestamp": first + n * every,
            "value": n % 6,
        }
        for n in range(count)
    ]


def encode(*requests, width=1000):
    return call("encode", **to_arrays(requests, width))
