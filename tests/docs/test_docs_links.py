"""Links and anchors of all pages lead somewhere, and files that pages name are there."""

import re
from pathlib import Path

import pytest
from doc_pages import ROOT, anchors, inline_code, links, pages

DOCS = ROOT / "docs"
PLACES = (ROOT, ROOT / "unified_ranker", DOCS)
MADE = re.compile(r"(^|/)(releases|vectors|incoming|market|shop|dist|nightly|tuned|comparison|\.unified_ranker)\b")
"""Files that the program or the reader makes."""
ELSEWHERE = re.compile(r"\b(?:papers|systems|experiments|ecosystem|peers|design|style)\.md\b|\bdesign sections? \d")
"""Documents that a reader of the repository does not have."""
WRITTEN = (".py", ".md", ".yaml", ".txt", ".config")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_resolve(page):
    wrong = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            wrong.append(f"{link}: there is no such file")
        elif anchor and anchor not in anchors(file):
            wrong.append(f"{link}: no such heading; there are {sorted(anchors(file))}")
    assert wrong == []


@pytest.mark.parametrize("page", [page for page in pages() if DOCS in page.parents], ids=name)
def test_pages_of_the_site_link_to_nothing_outside_of_it(page):
    """A link that leaves docs/ works in the repository and is dead on the site."""
    inside = [link for link in links(page) if not re.match(r"[a-z]+:", link)]
    outside = [link for link in inside if DOCS not in (page.parent / link.split("#")[0]).resolve().parents]
    assert [link for link in outside if not link.startswith("#")] == []


@pytest.mark.parametrize("page", [page for page in pages() if page.name != "CHANGELOG.md"], ids=name)
def test_files_that_a_page_names_are_there(page):
    """But for the changelog, which also names what was."""
    named = [code for code in inline_code(page) if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", code)]
    named = [
        code for code in named if re.search(r"(/|\.(py|yaml|yml|json|md|txt|config|cfg|svg|png|Dockerfile))$", code)
    ]
    lost = [
        c for c in named if not MADE.search(c) and not any((place / c).exists() for place in (*PLACES, page.parent))
    ]
    assert lost == []


def test_comments_cite_what_is_in_the_repository():
    """Names of pages in docstrings and comments, such as docs/guide/serving.md; and no document that lies elsewhere."""
    lost = []
    folders = [ROOT / folder for folder in ("unified_ranker", "tests", "docs", "examples", "serving_config")]
    for file in [file for folder in folders for file in folder.rglob("*") if file.suffix in WRITTEN]:
        text = file.read_text(encoding="utf-8")
        named = set(re.findall(r"\bdocs/[\w/-]+\.(?:md|py)\b", text)) | set(ELSEWHERE.findall(text))
        lost += [f"{name(file)}: {cited}" for cited in sorted(named) if not (ROOT / cited).is_file()]
    assert lost == []


def test_the_quality_guide_stays_a_guide():
    words = (ROOT / "docs" / "guide" / "quality.md").read_text(encoding="utf-8").split()
    assert len(words) <= 1500
