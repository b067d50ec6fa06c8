"""Notebook `examples/notebook.ipynb`, written with the output of its cells: `python examples/make_notebook.py`.

The cells run in a directory of their own, which is removed. Standard error is left out: progress bars and logs.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FILE = Path(__file__).with_name("notebook.ipynb")
SECONDS = 1_800
"""The longest that a cell may take."""

CODE, TEXT = "code", "markdown"

CELLS = (
    (
        TEXT,
        """# From tables to recommendations and vectors

This notebook takes a log in pandas, builds one model for search, "more like this" and the home feed, asks it for
recommendations, and publishes vectors that other teams can read. It takes about a minute on two cores.
Made by `examples/make_notebook.py`; [the guide](../docs/guide/python.md) has the calls in short.""",
    ),
    (
        TEXT,
        """## 1. A log

Any log will do that has a table of events and a table of items. Here a small marketplace is simulated.""",
    ),
    (CODE, "!unified-ranker simulate market --items 120 --users 80 --events 3000 --without impressions"),
    (
        CODE,
        """import pandas as pd

events, items, users = (pd.read_parquet(f"market/{name}") for name in ("events", "items", "users"))
events.head(3)""",
    ),
    (CODE, "items.head(3)"),
    (
        TEXT,
        """## 2. A project

`from_tables` looks at the columns and writes a project of commented YAML files. `overrides` replaces declarations for
this session: two epochs and a hundred requests a task are enough to see it work.""",
    ),
    (
        CODE,
        """from unified_ranker import Project

project = Project.from_tables(
    events,
    items,
    users,
    directory="shop",
    overrides={
        "project.training.epochs": 2,
        "project.evaluation.requests_per_task": 100,
        "project.evaluation.bootstrap_samples": 200,
    },
)
sorted(str(file.relative_to(project.directory)) for file in project.directory.glob("*/*.yaml"))""",
    ),
    (
        CODE,
        """checks = project.validate()
[check.line() for check in checks if not check.passed]""",
    ),
    (
        TEXT,
        """## 3. A release

`build` prepares, trains, measures and exports, skips what is up to date, and verifies the release.""",
    ),
    (
        CODE,
        """release = project.build()
release.relative_to(project.directory)""",
    ),
    (
        CODE,
        """metrics = project.evaluate().to_frame()
everything = metrics[metrics["dimension"] == "all"]
everything.pivot(index="scorer", columns="task", values="ndcg@10").round(3)""",
    ),
    (
        TEXT,
        """Two epochs on 3,000 events show how it works, and not how good it gets:
[Improve quality](../docs/guide/quality.md) says what to do with your log.""",
    ),
    (
        TEXT,
        """## 4. Recommendations

The model is loaded with the first answer. Histories come from the project's log, unless a request brings its own.""",
    ),
    (
        CODE,
        """from unified_ranker import Recommender

recommender = Recommender(release)
user = events["user_id"].value_counts().index[0]
recommender.recommend(task="home_feed", user_id=user, limit=5).to_frame()""",
    ),
    (
        CODE,
        """words = events["query"].dropna().iloc[-1]
answer = recommender.recommend(task="search", user_id=user, query=words, limit=5)
words, [item.title for item in answer.items]""",
    ),
    (
        CODE,
        """seen = [{"item_id": items["item_id"][0], "event_type": "click", "timestamp": "2025-03-01T12:00:00Z"}]
source = items["item_id"][1]
recommender.recommend(task="more_like_this", source_item_id=source, history=seen, limit=3).to_frame()""",
    ),
    (TEXT, """A table of requests gets a table of answers: `row` is the number of the request's row in its table."""),
    (
        CODE,
        """requests = pd.DataFrame({"user_id": users["user_id"], "task": "home_feed"})
answers = recommender.recommend_table(requests, limit=3)
answers.head(6)""",
    ),
    (
        TEXT,
        """## 5. Vectors for other teams

`export-embeddings` publishes vectors of items, users and frequent queries. Who reads them needs no TensorFlow.""",
    ),
    (CODE, "!unified-ranker export-embeddings shop/releases/latest --store vectors"),
    (
        CODE,
        """from unified_ranker import open_store

with open_store("vectors") as store:
    vector = store.get("item", source).vector
    near = store.neighbours("item", source, k=3)
vector.shape, [neighbour.id for neighbour in near]""",
    ),
)
"""Cells in order, each with its kind."""


def notebook() -> nbformat.NotebookNode:
    """Return the notebook without output."""
    make = {CODE: nbformat.v4.new_code_cell, TEXT: nbformat.v4.new_markdown_cell}
    cells = [make[kind](text, id=f"cell-{number}") for number, (kind, text) in enumerate(CELLS)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def executed() -> nbformat.NotebookNode:
    """Return the notebook with the output of its cells.

    Raises:
        CellExecutionError: a cell failed.
    """
    made = notebook()
    # The kernel finds this environment's commands, and TensorFlow says nothing of the machine.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # The output of a `!` command holds its progress bars, too.
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        NotebookClient(made, timeout=SECONDS, resources={"metadata": {"path": scratch}}, record_timing=False).execute()
    made.metadata = notebook().metadata
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if output.output_type == "stream":  # of a `!` command: it believes to write to a terminal
                    output.text = output.text.replace("\r\n", "\n")
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=FILE)
    nbformat.write(executed(), parser.parse_args().output)
