"""A small project's declarations, and what is said about mistakes in them."""

from pathlib import Path

import pytest

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError

ROOT = Path(__file__).parents[2]
FILES = {
    "project.yaml": "name: toy\ndata: {type: tables, events: e.parquet, items: i.csv}\n",
    "towers/item.yaml": "features: [{type: text, column: title}, {type: number, column: price, log: true}]\n"
    "quality: {popularity: {type: popularity}, rating: {type: mean_value, prior: 3}}\n",
    "tasks/search.yaml": "positives: [{event_type: click}]\nnegatives: {type: sampled, uniform: 16}\n",
    "tasks/home_feed.yaml": "positives: [{event_type: like}, {event_type: view, weight: 0.5}]\n",
}


def write_files(directory, files):
    for name, text in files.items():
        if text is not None:
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return directory


def write_project(directory, **changed):
    """Write the toy project with files replaced, added or (None) left out; `__` in a name stands for `/`."""
    return write_files(directory, FILES | {name.replace("__", "/"): text for name, text in changed.items()})


def changed(directory, name, text):
    """Return the toy project with one file's text."""
    return write_files(directory, FILES | {name: text})


def lines_of(directory, *sets):
    with pytest.raises(UserError) as caught:
        load_config(directory, sets)
    return str(caught.value).splitlines()


def line_of(directory, *sets):
    lines = lines_of(directory, *sets)
    assert len(lines) == 1, lines
    return lines[0]
