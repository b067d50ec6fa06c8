"""A release over the Retail log up to a moment: what the examples of docs/consume begin from."""

import shutil
import sys
from pathlib import Path

import pandas as pd
from small_project import cli

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "consume"
SETTINGS = {
    "project.data.events": "data/events.parquet",
    "project.data.items": "data/items.parquet",
    "project.data.users": "data/users.parquet",
    "project.training.epochs": 3,
    # The towers alone are wanted: as little ranking as can be.
    "project.training.ranking_examples": 8,
    "project.training.ranking_candidates": 2,
    "towers.item.dim": 32,
    "towers.user.history_length": 50,
    "towers.user.encoder.layers": 1,
    "towers.ranker.hidden": 8,
    "towers.ranker.signals": "[]",
}


def build_release(data: Path, directory: Path, moment: pd.Timestamp) -> Path:
    """Build the home feed of the retail example on the log before `moment`; returns the release."""
    shutil.copytree(ROOT / "examples" / "retail", directory)
    (directory / "tasks" / "more_like_this.yaml").unlink()
    (directory / "data").mkdir()
    events = pd.read_parquet(data / "events.parquet")
    kept = events[(events["task"] == "home_feed") & (events["timestamp"] < moment)]
    kept.to_parquet(directory / "data" / "events.parquet")
    for name in ("items", "users"):
        shutil.copy(data / f"{name}.parquet", directory / "data")
    chosen = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    # Without measuring it, nor its baselines: no example reads that.
    for stage in ("prepare", "train", "export"):
        done = cli(stage, "--project", directory, *chosen)
        assert done.exit_code == 0, done.output
    return directory / "releases" / "1"


def example(name: str):
    """Import an example of docs/consume."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return __import__(name)
