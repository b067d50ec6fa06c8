"""Optional parts: what is missing is named, with a command that can be run as it stands."""

import ast
import configparser
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from unified_ranker.core import extras
from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import install_command, missing_modules, require_extra

ROOT = Path(__file__).parents[2]
OPTIONAL = ("dask", "delta", "redis", "sql", "text", "traces")
WRITTEN = (
    "*.md", "docs/**/*.md", "serving_config/**/*", "examples/**/*.yaml", "export/*", "towers/*", "tasks/*", "setup.cfg",
    "unified_ranker/**/*.py", "benchmarks/*.py", "benchmarks/*.md", "docs/consume/*.py",
)  # fmt: skip


def declared(extra):
    """The requirements of an extra, as setup.cfg has them."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options.extras_require"][extra].split("\n")
    return {str(Requirement(line)) for line in lines if line.strip() and not line.startswith("#")}


def commands(text):
    """The arguments of each `pip install` in a text, without options and what follows them."""
    for found in re.finditer(r"pip3? install\s+([^\n`|]*)", text):
        words = shlex.split(found[1].replace("\\", " ").strip().rstrip(".,;)"), comments=True)
        yield [
            word for before, word in zip(["", *words], words, strict=False) if before != "-r" and word[0] not in "-$"
        ]


def is_a_file(word):
    return word.startswith(("/", ".", "dist/")) or word.endswith((".whl", ".txt"))


@pytest.mark.parametrize("extra", OPTIONAL)
def test_the_command_installs_what_setup_cfg_lists(extra):
    [words] = commands(install_command(extra))
    assert {str(Requirement(word)) for word in words} == declared(extra)


@pytest.mark.parametrize("extra", OPTIONAL)
def test_what_is_missing_is_named_with_the_command(extra, monkeypatch):
    assert missing_modules(extra) == [], "the tests have all extras"
    require_extra(extra, "nothing")
    name = extras._MODULES[extra][0]
    monkeypatch.setitem(sys.modules, name, None)
    assert missing_modules(extra) == [name]
    with pytest.raises(UserError) as error:
        require_extra(extra, "`this`", "or do without")
    expected = f"`this` needs packages that are not installed: {name}. Remedy: {install_command(extra)}, or do without."
    assert str(error.value) == expected


def test_a_module_whose_parent_is_not_there_is_missing(monkeypatch):
    monkeypatch.setitem(extras._MODULES, "dask", ("no_such_parent.child",))
    assert missing_modules("dask") == ["no_such_parent.child"]


def test_nothing_tells_to_install_what_no_index_has():
    """The project is on no package index; every other name is one of setup.cfg's, in the versions that it allows."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = setup["options"]["install_requires"] + "".join(setup["options.extras_require"].values())
    lines = [line.strip() for line in listed.split("\n") if line.strip() and not line.strip().startswith("#")]
    known = {r.name: r for r in map(Requirement, lines) if r.name != "unified_ranker"}
    seen = 0
    files = {file for pattern in WRITTEN for file in ROOT.glob(pattern) if file.is_file()}
    for file in sorted(files - {Path(extras.__file__)}):
        where = file.relative_to(ROOT)
        text = file.read_text(encoding="utf-8", errors="ignore")
        assert where.name == "setup.cfg" or not re.search(r"unified[-_]ranker\[\w", text), where
        for words in commands(text):
            for word in (word for word in words if not is_a_file(word)):
                try:
                    asked = Requirement(word)
                except InvalidRequirement:
                    pytest.fail(f"{where}: `pip install {word}` names no package")
                assert asked.name in known, f"{where}: `pip install {word}`"
                assert not asked.specifier or asked.specifier == known[asked.name].specifier, f"{where}: {word}"
                seen += 1
    assert seen > 5, "the search finds the commands of docs/guide/install.md at least"


def test_one_place_words_the_command():
    """Elsewhere in the code a command in a message would name versions, or the project, on its own account."""
    for file in (ROOT / "unified_ranker").rglob("*.py"):
        texts = [n.value for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Constant)]
        guilty = [text for text in texts if isinstance(text, str) and "pip install" in text]
        assert not guilty or file.name == "extras.py", f"{file}: {guilty}"


def imported():
    """The modules of others that the package imports, by the file that does."""
    for file in (ROOT / "unified_ranker").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "unified_ranker":
                    yield top, file.relative_to(ROOT)


def brought(requirements):
    """The distributions that an installation of `requirements` brings, by what those that are here ask for."""
    names, todo = set(), [(Requirement(text), ("",)) for text in requirements]
    while todo:
        wanted, extras = todo.pop()
        if wanted.marker is not None and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = canonicalize_name(wanted.name)
        if name not in names:
            names.add(name)
            asked = metadata.distribution(wanted.name).requires or ()
            todo += [(Requirement(text), ("", *wanted.extras)) for text in asked]
    return names


def test_whatever_is_imported_is_asked_for():
    """In an environment with more in it, such as that of the tests, a package that setup.cfg lacks goes unseen."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    plain = [line for line in setup["options"]["install_requires"].split("\n") if line and not line.startswith("#")]
    asked, providers = brought([*plain, *set().union(*map(declared, OPTIONAL))]), metadata.packages_distributions()
    for module, file in imported():
        found = {canonicalize_name(name) for name in providers.get(module, ())}
        assert found & asked, f"{file} imports `{module}`, of {sorted(found) or 'no installed package'}"
