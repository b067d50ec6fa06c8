"""Words: docstrings name what they document, and no public name or file name of the package means two things."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

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
    """Names that differ only in capitals or underscores sound alike, so they count as one; in one file they may."""
    places = defaultdict(dict)
    for file, tree in trees():
        for node in tree.body:
            for name in names_of(node):
                if not name.startswith("_") and name not in SHARED_NAMES:
                    places[name.replace("_", "").lower()].setdefault(str(file), name)
    twice = {sound: found for sound, found in places.items() if len(found) > 1}
    assert not twice, twice


# --- words of our own ---------------------------------------------------------------------------------------------

CODE = [ROOT.parent / folder for folder in ("unified_ranker", "benchmarks", "tests", "docs/scripts", "examples")]
PRIVATE = (
    {"told", "aside", "spread", "spreads", "weighed", "weigh", "weighs", "standing", "settle", "settled", "settles"}
    | {"shortlist", "shortlists", "shortlisted"}
)  # fmt: skip
"""Words that this code once had for things whose names everybody knows."""


def identifiers(tree):
    """Every name in a module: what is defined, used, passed and read."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def words_of(name):
    """The words of an identifier in lower case: `RankedShortlist` and `ranked_shortlist` have the same."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


@pytest.mark.parametrize("folder", CODE, ids=lambda folder: folder.name)
def test_identifiers_have_no_words_of_our_own(folder):
    private = {
        f"{file.relative_to(folder)}: {name}"
        for file in sorted(folder.rglob("*.py"))
        for name in (file.stem, *identifiers(ast.parse(file.read_text(encoding="utf-8"))))
        if words_of(name) & PRIVATE
    }
    assert not private, "\n".join(sorted(private))


PLACES = {
    "core/places.py", "config/export_files.py", "project/release_project.py",
    "cli/embedding_commands.py", "cli/store_commands.py", "serving/service/open_service.py", "serving/http/running.py",
}  # fmt: skip
"""Files that may say `place`, besides the packages `store`, `events` and `vectors`: the address of a store or a source,
as `store.place` in export/embeddings.yaml."""


def test_a_place_is_the_address_of_a_store_or_a_source():
    """Of items, events and files it is an index, a row, a slot, a rank or a directory."""
    others = {
        f"{file}: {name}"
        for file, tree in trees()
        if file.as_posix() not in PLACES and file.parts[0] not in ("store", "events", "vectors")
        for name in (file.stem, *identifiers(tree))
        if words_of(name) & {"place", "places", "placed"}
    }
    assert not others, "\n".join(sorted(others))


# --- names in strings --------------------------------------------------------------------------------------------


def test_no_test_patches_what_it_names_in_a_string():
    """A string outlives what it names: such a patch is not found by a rename, and then changes nothing."""
    strings = re.compile(r"""(?:setattr|patch|patch\.object)\(\s*f?["'][\w.]+\.[\w.]+["']|__defaults__""")
    found = [
        f"{file.name}:{text[: match.start()].count(chr(10)) + 1}"
        for file in sorted(ROOT.parent.joinpath("tests").rglob("*.py"))
        if file.name != "test_words.py"
        for text in [file.read_text(encoding="utf-8")]
        for match in strings.finditer(text)
    ]
    assert not found


PATCHED = {
    "cli/conftest.py recommender.load_predict": "to load the model takes longer than all tests; `test_stages` loads it",
    "behaviours/test_fourth_task.py recommending.load_predict": "as above",
    "test_python_api.py module.load_predict": "as above",
    "behaviours/test_every_text_encoder.py kept_vectors.default_cache_dir": "the weights stay in the user's cache",
    "training/test_text_training.py kept_vectors.default_cache_dir": "as above",
    "log/conftest.py movielens_files.FILE_DIGESTS": "the files with these digests are on the network alone",
    "core/test_registry.py registry._loaded_entry_points": "what this process has found once is not looked for again",
    "vectors/test_vector_export.py DeltaCopy.write": "a disk that is full at one moment",
    "cli/test_recommend_table_command.py recommender.Recommender.answer": "Ctrl-C at one moment",
    "model_server/test_model_server.py ModelServerProcess.wait_until_ready": "as above",
}
"""What tests may patch in the package, by file and name, each with its reason."""


def test_no_test_patches_the_inside_of_the_package():
    """A test states an effect, or gives an argument; what it must patch nevertheless is in `PATCHED`."""
    tests, found = ROOT.parent / "tests", set()
    for file in sorted(tests.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        ours = {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).startswith(ROOT.name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
                target, name = node.args[:2]
                text = f"{ast.unparse(target)}.{name.value if isinstance(name, ast.Constant) else ast.unparse(name)}"
                if text.partition(".")[0] in ours:
                    found.add(f"{file.relative_to(tests).as_posix()} {text}")
    assert found == PATCHED.keys()
