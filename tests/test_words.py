"""Words: docstrings name what they document, and no public name or file name of the package means two things."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1] / "unified_ranker"
QUESTION = re.compile(r"(What|Which|Whether|How|Where|When|Why|Who|That|If)\b")
SHARED_FILES = {"__init__", "__main__", "base"}
"""`base` is the contract of its package, everywhere."""
SHARED_NAMES = {"logger"}


def trees():
    for file in sorted(ROOT.rglob("*.py")):
        yield file.relative_to(ROOT), ast.parse(file.read_text(encoding="utf-8"))


def test_docstrings_begin_with_the_noun_or_verb_of_what_they_document():
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    questions = [
        f"{file}:{getattr(node, 'lineno', 1)} {text.splitlines()[0]}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, kinds) and (text := ast.get_docstring(node)) and QUESTION.match(text)
    ]
    assert not questions, "\n".join(questions)


def test_no_file_name_means_two_things():
    places = defaultdict(list)
    for file, _ in trees():
        if file.stem not in SHARED_FILES:
            places[file.stem].append(str(file))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice, twice


def names_of(node):
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    leaves = [leaf for target in targets for leaf in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [leaf.id for leaf in leaves if isinstance(leaf, ast.Name)]


def test_no_public_name_means_two_things():
    places = defaultdict(set)
    for file, tree in trees():
        for node in tree.body:
            for name in names_of(node):
                if not name.startswith("_") and name not in SHARED_NAMES:
                    places[name].add(str(file))
    twice = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert not twice, twice
