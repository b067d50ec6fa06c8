"""A small complete project: 60 users, 40 items, three surfaces whose answers can be learnt from the data."""

import functools
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from typer.testing import CliRunner, Result

from unified_ranker.cli import app
from unified_ranker.serving.answering.recommender import Recommender
from unified_ranker.serving.backends.in_process_model import InProcessModel

USERS, ITEMS, EVENTS = 60, 40, 1500
START = pd.Timestamp("2024-01-01", tz="UTC")
GENRES = ("comedy", "drama", "horror", "western")
COLOURS = ("amber", "blue", "crimson", "dun", "ebony", "fawn", "green", "hazel", "indigo", "jade")
TASKS = ("search", "more_like_this", "home_feed")
FOURTH_TASK = "pre_query"
"""A surface of the log that the project does not declare: what to show before anything is typed."""
FOURTH_FILE = {"positives": [{"event_type": "click"}], "serving": {"candidates": 30, "limit": 5}}
LATE_ITEM = "i39"
"""Created in the last days of the log; every other item is there from the first."""
LATE_ITEM_CREATED = START + pd.Timedelta(hours=1400)

Tree = dict[str, Any]
Tables = dict[str, pd.DataFrame]


def title(number: int) -> str:
    """Name an item by a colour and its genre; brackets, as the first one's, are ordinary text."""
    uncut = "" if number else " [uncut]"
    return f"The {COLOURS[number // 4].capitalize()} {GENRES[number % 4].capitalize()}{uncut}"


def items_table() -> pd.DataFrame:
    """Ten items of each genre."""
    number = np.arange(ITEMS)
    created = [LATE_ITEM_CREATED if f"i{n}" == LATE_ITEM else START - pd.Timedelta(days=30) for n in number]
    return pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in number],
            "title": [title(n) for n in number],
            "created_at": created,
            "categories": [GENRES[n % 4] for n in number],
            "minutes": 80 + number,
        }
    )


def users_table() -> pd.DataFrame:
    """Users of two countries and one of none."""
    number = np.arange(USERS)
    countries = [None if n == 0 else ("GB", "DE")[n % 2] for n in number]
    return pd.DataFrame({"user_id": [f"u{n}" for n in number], "country": countries, "age": 20 + number % 50})


def events_table(tasks: Sequence[str] = (*TASKS, FOURTH_TASK), seed: int = 5) -> pd.DataFrame:
    """One event an hour: users like their own genre, queries name a title, sources lead to their own genre."""
    return _events(tuple(tasks), seed).copy()


@functools.cache
def _events(tasks: tuple[str, ...], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    titles = items_table()["title"].tolist()
    rows = []
    for number in range(EVENTS):
        user, when = int(rng.integers(USERS)), START + pd.Timedelta(hours=number)
        genre = user % 4 if rng.random() < 0.9 else int(rng.integers(4))
        choices = np.arange(genre, ITEMS, 4)
        if when <= LATE_ITEM_CREATED:
            choices = choices[choices != ITEMS - 1]
        item = int(rng.choice(choices))
        task = str(rng.choice(tasks))
        row = {
            "user_id": None if rng.random() < 0.03 else f"u{user}",
            "item_id": f"i{item}",
            "task": task,
            "event_type": "click",
            "timestamp": when,
            "query": None,
            "source_item_id": None,
            "country": ("GB", "DE")[user % 2] if rng.random() < 0.7 else None,
            "value": None,
        }
        if task == "search":
            row["query"] = titles[item].lower().removeprefix("the ")
        elif task == "more_like_this":
            row["source_item_id"] = f"i{rng.choice(choices[choices != item])}"
        elif task == "home_feed" and rng.random() < 0.3:
            row |= {"event_type": "rating", "value": float(rng.integers(1, 6))}
        rows.append(row)
    return pd.DataFrame(rows)


def tables() -> Tables:
    """The three tables of the project."""
    return {"events": events_table(), "items": items_table(), "users": users_table()}


def declarations() -> dict[str, Tree]:
    """The project's files by their paths: as small as they may be."""
    rating = {"event_type": "rating", "min_value": 4, "head": "like"}
    serving = {"candidates": 30, "limit": 5}
    return {
        "project.yaml": {
            "name": "small",
            "data": {
                "type": "tables",
                "events": "data/events.parquet",
                "items": "data/items.csv",
                "users": "data/users.csv",
            },
            "training": {
                "epochs": 1,
                # It would take a second training.
                "blend": False,
                "batch_examples": 128,
                "learning_rate": 0.02,
                "ranking_examples": 32,
                "ranking_candidates": 8,
            },
            "evaluation": {"requests_per_task": 40, "bootstrap_samples": 100},
        },
        "towers/user.yaml": {
            "history_length": 8,
            "encoder": {"type": "transformer", "layers": 1, "heads": 2},
            "profile": [{"type": "number", "column": "age"}, {"type": "category", "column": "country"}],
        },
        "towers/item.yaml": {
            "dim": 8,
            "features": [
                {"type": "text", "column": "title"},
                {"type": "categories", "column": "categories"},
                {"type": "number", "column": "minutes"},
            ],
            "text": {"type": "hashed", "buckets": 512},
            "quality": {"popularity": {"type": "popularity"}, "rating": {"type": "mean_value"}},
        },
        "towers/ranker.yaml": {"hidden": 8, "experts": 2},
        "tasks/search.yaml": {"positives": [{"event_type": "click"}], "serving": serving},
        "tasks/more_like_this.yaml": {
            "positives": [{"event_type": "click"}],
            "imputation": {"query": "source_item_title"},
            "serving": serving,
        },
        "tasks/home_feed.yaml": {
            "positives": [{"event_type": "click"}, rating],
            "first_engagement_only": True,
            "exclude_engaged": True,
            "quality_weights": {"popularity": 0.1},
            "serving": serving,
        },
        "export/serving.yaml": {"warmup_requests": 4, "warmup_batch_sizes": [1, 4]},
    }


def write_tables(directory: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    """Write events as Parquet, the other tables as CSV (lists with `|`), into `data/` of a project."""
    folder = directory / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        if name == "events":
            frame.to_parquet(folder / "events.parquet", index=False)
        else:
            frame.to_csv(folder / f"{name}.csv", index=False)


def write_files(directory: Path, files: Mapping[str, Tree]) -> None:
    """Write declarations."""
    for name, tree in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def write_project(directory: Path, frames: Tables | None = None, files: Mapping[str, Tree] | None = None) -> Path:
    """Write the project into `directory` and return it."""
    write_tables(directory, tables() if frames is None else frames)
    write_files(directory, declarations() if files is None else files)
    return directory


def cli(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@dataclass(frozen=True)
class Built:
    """The project with the fourth task, built; `output` is what the build printed.

    Tests read it and never write: `copy` gives them one of their own.
    """

    directory: Path
    output: str

    @property
    def release(self) -> Path:
        """The one release."""
        return self.directory / "releases" / "1"

    def copy(self, to: Path) -> Path:
        """Copy the project, stages and releases included, and return where it is."""
        return Path(shutil.copytree(self.directory, to / "project", symlinks=True))


@functools.cache
def predict_of(release: Path) -> Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Load the model of a release, once in a process, and return what runs its signatures."""
    return InProcessModel.of_release(release).predict


@functools.cache
def recommender(release: Path) -> Recommender:
    """Open a release, once in a process."""
    return Recommender(release, predict=predict_of(release))


_SCRATCH = tempfile.TemporaryDirectory(prefix="small-project-")


@functools.cache
def built_project() -> Built:
    """Build the project, once in a process: tests that use it belong to the xdist group `small_project`."""
    directory = write_project(Path(_SCRATCH.name, "project"))
    write_files(directory, {f"tasks/{FOURTH_TASK}.yaml": FOURTH_FILE})
    result = cli("build", "--project", directory)
    assert result.exit_code == 0, result.output
    return Built(directory, result.stdout)
