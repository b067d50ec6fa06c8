"""What tests of every part share: a toy log, declarations to go with it, and where the real logs are.

Builders are session fixtures, so that hypothesis may use them. Nothing here loads TensorFlow.
"""

import gc
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import own_extensions
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from redis_process import REDIS, RedisProcess

from unified_ranker.config import Config
from unified_ranker.log.schema import InteractionLog, normalise
from unified_ranker.prepare.prepared import Prepared, prepare

# A busy machine is no fault of the code under test.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")

START = pd.Timestamp("2024-01-01", tz="UTC")
WORDS = ("red", "blue", "paper", "wooden", "lantern", "clock", "bird", "box")
TASKS: Mapping[str, Mapping[str, Any]] = {
    "search": {"positives": [{"event_type": "click", "weight": 0.5}, {"event_type": "buy"}]},
    "more_like_this": {
        "positives": [{"event_type": "click"}],
        "imputation": {"query": "source_item_title"},
    },
    "home_feed": {
        "positives": [
            {"event_type": "rating", "min_value": 4, "head": "love", "weight": 2.0},
            {"event_type": "rating", "min_value": 3, "head": "like"},
        ],
        "first_engagement_only": True,
        "exclude_engaged": True,
    },
}
TOWERS: Mapping[str, Mapping[str, Any]] = {
    "item": {
        "dim": 8,
        "features": [
            {"type": "text", "column": "title"},
            {"type": "categories", "column": "categories"},
            {"type": "category", "column": "maker"},
            {"type": "number", "column": "price", "log": True},
        ],
        "quality": {
            "popularity": {"type": "popularity"},
            "trend": {"type": "popularity", "window_days": 2},
            "rating": {"type": "mean_value", "prior": 2},
            "freshness": {"type": "freshness", "scale_days": 5},
        },
    },
    "user": {
        "history_length": 8,
        "profile": [{"type": "category", "column": "country"}, {"type": "number", "column": "age"}],
    },
}


def _log(seed: int = 0, events: int = 400, items: int = 15, users: int = 8, days: float = 20) -> InteractionLog:
    """Make a log with everything that a log may have.

    That is anonymous events, several events within one second, absent values, titles, numbers and countries,
    and undated items; the other items appear in the course of the log and are touched only from then on. The
    same seed gives the same log.
    """
    rng = np.random.default_rng(seed)
    created = np.where(np.arange(items) < items // 3, 0.0, np.sort(rng.uniform(0, days * 0.9, items)))
    undated = np.arange(items) % 5 == 0
    catalogue = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in rng.permutation(items)],
            "title": [" ".join(rng.choice(WORDS, 2)) if n % 7 else None for n in range(items)],
            "created_at": [None if u else START + pd.Timedelta(d, "D") for u, d in zip(undated, created, strict=True)],
            "categories": [list(rng.choice(["home", "toys", "music"], n % 3, replace=False)) for n in range(items)],
            "maker": [f"m{n % 4}" if n % 6 else None for n in range(items)],
            "price": [float(rng.integers(1, 50)) if n % 4 else None for n in range(items)],
        }
    )
    people = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(users)],
            "country": [["GB", "US", None][n % 3] for n in range(users)],
            "created_at": [START] * users,
            "age": [20.0 + n if n % 2 else None for n in range(users)],
        }
    )
    return normalise(pd.DataFrame(_events(rng, events, catalogue, created, users, days)), catalogue, people)


def _events(
    rng: np.random.Generator, count: int, items: pd.DataFrame, created: np.ndarray, users: int, days: float
) -> list[dict[str, Any]]:
    rows = []
    for _ in range(count):
        # Few different hours and parts of seconds, so that many events tie.
        hour = int(rng.integers(0, days * 24))
        stamp = START + pd.Timedelta(hour, "h") + pd.Timedelta(int(rng.integers(0, 3)) * 400, "ms")
        there = items["item_id"].to_numpy(object)[created <= hour / 24]
        task = rng.choice(["search", "more_like_this", "home_feed", "newsletter"], p=[0.3, 0.2, 0.4, 0.1])
        kind = rng.choice(["rating", "rating", "view"] if task == "home_feed" else ["click", "buy", "view"])
        user = rng.integers(0, users + 1)
        rows.append(
            {
                "user_id": f"u{user}" if user < users else None,
                "item_id": rng.choice(there),
                "task": task,
                "event_type": kind,
                "timestamp": stamp,
                "query": rng.choice(WORDS) if task == "search" else None,
                "source_item_id": rng.choice(there) if task == "more_like_this" else None,
                "query_item_id": rng.choice(there) if task == "search" and rng.random() < 0.3 else None,
                "country": rng.choice(["GB", "DE", None]),
                "value": float(rng.integers(1, 11)) / 2 if kind == "rating" and rng.random() < 0.9 else None,
            }
        )
    return rows


def _config(
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    towers: Mapping[str, Mapping[str, Any]] | None = None,
    **project: Any,
) -> Config:
    """Declare the toy project; `tasks` replaces its tasks, `towers` the towers that it names."""
    files = {"type": "tables", "events": "events.parquet", "items": "items.parquet"}
    return Config.model_validate(
        {
            "project": {"name": "toy", "data": files, "seed": 3, **project},
            "towers": {**TOWERS, **(towers or {})},
            "tasks": TASKS if tasks is None else tasks,
        }
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--extension", action="append", default=[], metavar="MODULE",
        help="a module of yours, whose implementations the suites of tests/behaviours/ try as well (may be repeated)",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Register the given extensions before any suite lists the implementations."""
    # Tracing makes many objects that stay; at Python's own thresholds, passes over all of them take 7 % of the time.
    gc.set_threshold(50_000, 20, 50)
    own_extensions.load_given(tuple(config.getoption("extension")))


@pytest.fixture(scope="module")
def eagerly() -> Iterator[None]:
    """Lets TensorFlow trace nothing: a few steps take less time than to trace one."""
    tensorflow = importlib.import_module("unified_ranker.towers.tensorflow").tf
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def make_log() -> Callable[..., InteractionLog]:
    """Builds a random log: `make_log(seed, events=, items=, users=, days=)`."""
    return _log


@pytest.fixture(scope="session")
def make_config() -> Callable[..., Config]:
    """Builds declarations: `make_config(tasks=, towers=, <key of project.yaml>=…)`, all as plain dicts."""
    return _config


@pytest.fixture(scope="session")
def toy_log() -> InteractionLog:
    return _log()


@pytest.fixture(scope="session")
def toy_config() -> Config:
    return _config()


@pytest.fixture(scope="session")
def toy_prepared(toy_log: InteractionLog, toy_config: Config) -> Prepared:
    return prepare(toy_log, toy_config)


@pytest.fixture(scope="module")
def redis_process(tmp_path_factory):
    if REDIS is None:
        pytest.skip("there is no redis-server on this machine; apt install redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("redis"), "--enable-debug-command", "local")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real logs, one folder each; skips where they are not at hand."""
    root = Path(__file__).parents[1]
    path = Path(os.environ.get("UNIFIED_RANKER_SHARED", root / ".." / "shared")) / "data"
    if not path.is_dir():
        pytest.skip("the shared data is not here; set UNIFIED_RANKER_SHARED")
    return path
