"""What scripts make of the code is what lies in docs/; the built site loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import configuration
import pictures
import pytest
import reference
from doc_pages import ROOT
from pydantic import BaseModel

REMEDY = "run `make docs`, look at the difference, and commit it"


@pytest.mark.parametrize(("made", "folder"), [(reference, "reference"), (pictures, "pictures")])
def test_it_is_up_to_date(made, folder, tmp_path):
    for file in made.write(tmp_path):
        kept = ROOT / "docs" / folder / file.name
        assert kept.is_file(), f"{kept} is missing: {REMEDY}"
        assert kept.read_text(encoding="utf-8") == file.read_text(encoding="utf-8"), f"{kept} is stale: {REMEDY}"


def test_every_setting_says_what_it_is():
    waiting: list[type[BaseModel]] = list(configuration.files().values())
    bare, seen = [], set()
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen.add(model)
            texts = configuration.field_texts(model)
            bare += [f"{model.__name__}.{n}" for n in model.model_fields if n not in texts and n != "type"]
            waiting += [block for _, block in configuration._blocks(model, "")]
    assert bare == []
    assert len(seen) > 25


def test_the_reference_names_limits_and_defaults():
    page = configuration.page()
    assert "| `temperature` | number, > 0 and ≤ 1 | `0.07` |" in page
    assert "| `duplicates` | `drop`, `keep` | `drop` |" in page
    assert "| `name` | text that matches" in page


RATIO = re.compile(r"^\| (MovieLens|Travel|Retail), ([a-z ]+?)(?: \(derived\))? \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/records/joint-against-specialists.md"])
def test_the_numbers_of_the_comparison_are_those_of_its_reports(page):
    rows = RATIO.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(rows) == 8
    for project, task, cells in rows:
        report = json.loads(
            (ROOT / "docs/records/comparisons" / project.lower() / "comparison.json").read_text("utf-8")
        )
        lines = next(t["lines"] for t in report["tasks"] if t["task"] == task.replace(" ", "_"))
        joint, alone = (next(line for line in lines if line["kind"] == kind) for kind in ("joint", "alone"))
        best = max(line["metrics"]["ndcg@10"]["value"] for line in lines if line["kind"] == "baseline")
        value = joint["metrics"]["ndcg@10"]["value"]
        expected = [value, alone["metrics"]["ndcg@10"]["value"], 1 / alone["ratio"]["value"], value / best]
        printed = [
            re.findall(r"\d*\.\d+", cell.split("(")[0].replace("NDCG@10", ""))[-1] for cell in cells.split(" | ")
        ]
        for number, true in zip(printed, expected, strict=True):
            assert float(number) == pytest.approx(true, abs=0.51 * 10 ** -len(number.split(".")[1])), (
                project,
                task,
                number,
            )


class _Loaded(HTMLParser):
    """Collects what a page loads when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("img", "script", "iframe", "source", "video", "audio", "embed"):
            self.addresses.append(given.get("src", ""))
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.addresses.append(given.get("href", ""))
        assert "mermaid" not in given.get("class", ""), (
            "its script would come from a CDN; draw it in docs/scripts/pictures.py"
        )


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files = list((tmp_path / "site").rglob("*.html"))
    assert len(files) > 40
    for file in files:
        page = _Loaded()
        page.feed(file.read_text(encoding="utf-8"))
        assert [a for a in page.addresses if re.match(r"(https?:)?//", a)] == [], file
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet
