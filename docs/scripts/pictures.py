"""Diagrams of the documentation, as SVG: `python docs/scripts/pictures.py` writes them into docs/pictures/."""

import argparse
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from drawing import Drawing

DOCS = Path(__file__).parents[1]
NAMES = {"movielens": "MovieLens", "travel": "Travel", "retail": "Retail"}


def model() -> str:
    """Return the picture of the model: from a request to ranked items."""
    drawing = Drawing(860, 330, "From a request to ranked items")
    drawing.box(20, 60, 170, 150, "request\nuser, history\nquery?\nsource item?\ncountry, task, time", "input")
    drawing.box(230, 60, 140, 54, "user tower\nover the history", "model")
    drawing.box(410, 60, 150, 150, "context tower\nuser state, query,\nsource item, country,\ntask, time", "model")
    drawing.box(230, 156, 140, 54, "imputation\nmissing fields filled", "model")
    drawing.box(626, 60, 110, 54, "index\nScaNN or exact", "store")
    drawing.box(626, 156, 110, 54, "ranking head\nand signals", "model")
    drawing.box(764, 156, 80, 54, "ranked\nitems", "output")
    drawing.box(410, 250, 150, 54, "item tower\nand quality vector", "model")
    drawing.box(230, 250, 140, 54, "item\nid, text, columns", "input")
    drawing.arrow((190, 87), (230, 87))
    drawing.arrow((190, 183), (230, 183))
    drawing.arrow((370, 87), (410, 87))
    drawing.arrow((370, 183), (410, 183))
    drawing.arrow((560, 80), (626, 80), label="query")
    drawing.arrow((560, 190), (626, 190))
    drawing.text(582, 206, "state", faint=True)
    drawing.arrow((681, 114), (681, 156))
    drawing.text(689, 139, "candidates", anchor="start", faint=True)
    drawing.arrow((736, 183), (764, 183))
    drawing.arrow((370, 277), (410, 277))
    drawing.arrow((560, 277), (600, 277), (600, 100), (626, 100))
    drawing.text(608, 270, "item vectors", anchor="start", faint=True)
    drawing.text(430, 32, "score of retrieval = query vector · item vector, one dot product", faint=True)
    return drawing.svg()


def request() -> str:
    """Return the picture of a request to the service, and of what answers when a part fails."""
    drawing = Drawing(860, 330, "What happens to a request between socket and answer")
    steps = [
        ("POST /v1/recommend\ntoken, limits", "input"),
        ("queue\nor 503 at once", "plain"),
        ("history\nfrom the store", "store"),
        ("encode\nmodel server", "model"),
        ("retrieve\nindex, live items, filters", "store"),
        ("rank\nmodel server", "model"),
    ]
    widths = (152, 104, 112, 104, 162, 104)
    x = 15.0
    edges = []
    for (text, fill), width in zip(steps, widths, strict=True):
        drawing.box(x, 50, width, 60, text, fill)
        edges.append((x, x + width))
        x += width + 18
    for (_, right), (left, _) in pairwise(edges):
        drawing.arrow((right, 80), (left, 80))
    drawing.text(430, 28, "full answer: degraded = null", bold=True)
    falls = [
        (2, "no_history", "ranked without the stored history"),
        (3, "cached", "the last full answer to the same question,\nelse popular: what an unknown user gets"),
        (5, "two_tower", "in the order of retrieval"),
    ]
    for place, name, text in falls:
        middle = sum(edges[place]) / 2
        left = {2: 185.0, 3: 380.0, 5: 665.0}[place]
        width = {2: 180.0, 3: 270.0, 5: 180.0}[place]
        drawing.arrow((middle, 110), (middle, 185), dashed=True)
        lines = text if place != 2 else "ranked without\nthe stored history"
        drawing.box(left, 185, width, 70, f"{name}\n{lines}", "output")
    drawing.text(
        430,
        295,
        "dashed: the step fails, is late, or returns NaN; each answer names the rung, and metrics count it",
        faint=True,
    )
    return drawing.svg()


def night() -> str:
    """Return the picture of a nightly retraining."""
    drawing = Drawing(860, 150, "A nightly retraining")
    steps = [
        ("log tables", "input"),
        ("validate", "plain"),
        ("prepare", "plain"),
        ("train", "model"),
        ("evaluate", "plain"),
        ("export", "plain"),
        ("verify", "plain"),
    ]
    for place, (text, fill) in enumerate(steps):
        drawing.box(12 + 103 * place, 48, 85, 44, text, fill)
        if place:
            drawing.arrow((103 * place - 6, 70), (103 * place + 12, 70))
    drawing.box(733, 12, 115, 50, "reload\nthe service", "output")
    drawing.box(733, 84, 115, 50, "export\nembeddings", "output")
    drawing.arrow((715, 64), (733, 37))
    drawing.arrow((715, 76), (733, 109))
    drawing.text(365, 130, "unified-ranker build runs the stages in order and skips what is up to date", faint=True)
    return drawing.svg()


def joint_against_specialists() -> str:
    """Return the ratio of joint model to specialist by surface, from the reports in docs/records/comparisons/."""
    rows = []
    for project in NAMES:
        report = json.loads(
            (DOCS / "records" / "comparisons" / project / "comparison.json").read_text(encoding="utf-8")
        )
        for task in report["tasks"]:
            alone = next(line for line in task["lines"] if line["kind"] == "alone")
            # The report has specialist ÷ joint model.
            ratio = {
                "value": 1 / alone["ratio"]["value"],
                "low": 1 / alone["ratio"]["high"],
                "high": 1 / alone["ratio"]["low"],
            }
            rows.append((f"{NAMES[project]}, {task['task'].replace('_', ' ')}", ratio))
    low, high = 0.9, 1.4
    left, right, top, step = 250, 820, 40, 30
    drawing = Drawing(860, top + step * len(rows) + 60, "NDCG@10 of the joint model divided by that of the specialist")

    def place(value: float) -> float:
        return round(left + (value - low) / (high - low) * (right - left), 1)

    bottom = top + step * len(rows)
    for mark in (0.9, 1.0, 1.1, 1.2, 1.3, 1.4):
        drawing.line(place(mark), top - 10, place(mark), bottom, colour="#d1d5db", dashed=mark != 1.0)
        drawing.text(place(mark), bottom + 20, f"{mark:.1f}", faint=True)
    drawing.text((left + right) / 2, bottom + 44, "NDCG@10, joint model ÷ specialist, with 95 % interval", faint=True)
    for number, (name, ratio) in enumerate(rows):
        y = top + step * (number + 0.5)
        drawing.text(left - 16, y + 4.5, name, anchor="end")
        drawing.line(place(ratio["low"]), y, place(ratio["high"]), y, colour="#4f46e5", width=3)
        drawing.dot(place(ratio["value"]), y)
    return drawing.svg()


PICTURES: dict[str, Callable[[], str]] = {
    "model.svg": model,
    "request.svg": request,
    "night.svg": night,
    "joint-against-specialists.svg": joint_against_specialists,
}


def write(directory: Path) -> list[Path]:
    """Write all pictures into `directory` and return their files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in PICTURES.items():
        file = directory / name
        file.write_text(draw(), encoding="utf-8")
        written.append(file)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DOCS / "pictures")
    for file in write(parser.parse_args().output):
        print(file)
