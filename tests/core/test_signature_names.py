"""Names of the served model: its writers and its readers take them from one place."""

import ast
from pathlib import Path

import pytest

from unified_ranker.core import signature_names

PACKAGE = Path(__file__).parents[2] / "unified_ranker"
COLUMNS = {"score", "rank", "limit", "query"}
"""Names that a column of a table has, too, so that a literal does not tell which of the two is meant."""
NAMES = {
    value for name, value in vars(signature_names).items() if name.isupper() and isinstance(value, str)
} - COLUMNS  # fmt: skip
PACKAGES = ("model", "export", "release", "vectors", "serving")


def keys(tree):
    """Yield the text constants by which something is looked up, stored or called: `x["a"]`, `{"a": 1}`, `f("a")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.Dict):
            yield from node.keys
        elif isinstance(node, ast.Compare):
            yield from (leaf for side in node.comparators for leaf in ast.walk(side))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("get", "pop", "predict"):
            yield from node.args[:1]


def literal_names(source):
    return {n.value for n in keys(ast.parse(source)) if isinstance(n, ast.Constant) and n.value in NAMES}


def test_no_reader_or_writer_repeats_a_name():
    found = {
        str(file.relative_to(PACKAGE)): names
        for package in PACKAGES
        for file in (PACKAGE / package).rglob("*.py")
        if (names := literal_names(file.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('out["query_vector"]', "query_vector"),
        ('out = {"proposed_ids": ids}', "proposed_ids"),
        ('out.pop("trending")', "trending"),
        ('model.predict("rank_live", inputs)', "rank_live"),
        ('if "proposed" in out: pass', None),
        ('if signature in ("encode", LIVE): pass', "encode"),
    ],
)
def test_a_repeated_name_is_found(source, name):
    assert literal_names(source) == ({name} if name else set())
