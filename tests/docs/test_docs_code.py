"""Code on all pages: commands exist with their options, declarations fit the models, programs import what there is."""

import ast
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import python_api
from doc_commands import problem, simple_commands, unknown_option
from doc_pages import ROOT, blocks, inline_code, pages
from pydantic import BaseModel

from unified_ranker.config import ProjectFile, Task
from unified_ranker.config.loading import load_config
from unified_ranker.config.yaml_files import parse_yaml, section_model
from unified_ranker.core.errors import UserError
from unified_ranker.core.registry import ENTRY_POINTS
from unified_ranker.evaluation.tuning.search_space import read_space
from unified_ranker.towers.feature_types.base import ITEM_FEATURES

PROJECTS = (ROOT, ROOT / "examples" / "travel", ROOT / "examples" / "retail")
DAG = ROOT / "docs" / "recipes" / "nightly_retraining_dag.py"


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_exist(block):
    assert [text for words in simple_commands(block.text) if (text := problem(words))] == []


def test_shell_blocks_parse():
    for block in blocks("sh"):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}: {done.stderr}"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("unified-ranker build --project shop", None),
        ("unified-ranker store get vectors item 50 51 --json", None),
        ("unified-ranker bild", "no command"),
        ("unified-ranker build --projekt shop", "--projekt"),
        ("unified-ranker recommend", "missing"),
        ("unified-ranker compare --seeds three", "number"),
        ("unified-ranker verify releases/1 releases/2", "too much"),
        ("make quickstart SOURCE=ml-100k.zip", None),
        ("make quick", "Makefile"),
        ("cd shop && unified-ranker train | tee log", "tee"),
        ("curl -s localhost:8080/v1/recomend", "/v1/recomend"),
        ("python benchmarks/serving.py --only load", None),
        ("python benchmarks/nothing.py", "not there"),
    ],
)
def test_the_check_of_commands_sees_mistakes(line, wrong):
    found = [text for words in simple_commands(line) if (text := problem(words))]
    assert (found == []) if wrong is None else (wrong in found[0])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_prose_exist(page):
    """A command in running text may leave out values; its name and options are there."""
    commands = [code for code in inline_code(page) if re.match(r"unified-ranker [a-z-]+( |$)", code)]
    assert [text for code in commands if (text := unknown_option(re.sub(r"[…|].*", "", code).split()))] == []


def test_overrides_lead_to_settings():
    """Each `--set path=value` of a command fits one of the repository's projects."""
    seen = 0
    for block in blocks("sh"):
        for words in simple_commands(block.text):
            given = [after for word, after in pairwise(words) if word == "--set"]
            given = [text for text in given if not text.startswith("@")]
            variants = [after.split(":", 1)[1].split(";") for word, after in pairwise(words) if word == "--variant"]
            for overrides in [given, *variants]:
                if overrides:
                    seen += 1
                    assert any(fits(project, overrides) for project in PROJECTS), f"{block}: {overrides}"
    assert seen > 3


def fits(project: Path, overrides: list[str]) -> bool:
    try:
        load_config(project, overrides)
    except UserError:
        return False
    return True


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_declarations_fit_the_models(block, tmp_path):
    """A block with a title holds settings of that file: in the place of the repository's own, they are valid."""
    values = parse_yaml(block.text)
    model = model_of(block.title)
    if model is None:
        assert block.title == "", f"{block.title} is no file of a project"
        file = tmp_path / "space.yaml"
        file.write_text(block.text, encoding="utf-8")
        assert read_space(file), "a block without a title is a space of `tune`"
        return
    if "zip_code" in block.text or "extensions" in values:
        return  # see `test_the_example_of_an_extension_works`
    own = ROOT / block.title
    model.model_validate({**(parse_yaml(own.read_text(encoding="utf-8")) if own.is_file() else {}), **values})


def test_the_example_of_an_extension_works(tmp_path, monkeypatch):
    """The page's own files, beside a task, are a project whose new type reads the digits that it declares."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "tasks").mkdir()
    (tmp_path / "towers").mkdir()
    (tmp_path / "tasks" / "search.yaml").write_text("positives: [{event_type: click}]\n", encoding="utf-8")
    page = ROOT / "docs" / "guide" / "extending.md"
    # Of several blocks of one file the last is the example's.
    for block in [b for b in blocks("python", "yaml") if b.page == page and not b.title.startswith("tasks/")]:
        data = "name: shop\ndata: {type: tables, events: e.csv, items: i.csv}\n"
        text = data + block.text if block.title == "project.yaml" else block.text
        (tmp_path / block.title).write_text(text, encoding="utf-8")
    feature = load_config(tmp_path).towers.item.features[-1]
    assert feature.read(pd.Series(["12345", None], dtype="string")).tolist() == ["123", ""]
    ITEM_FEATURES.remove("zip_code")


def model_of(title: str) -> type[BaseModel] | None:
    if title == "project.yaml":
        return ProjectFile
    folder, _, name = title.partition("/")
    return (
        Task
        if folder == "tasks"
        else section_model(folder, Path(name).stem)
        if folder in ("towers", "export")
        else None
    )


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_loads(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_programs_import_what_there_is(block):
    compile(block.text, str(block), "exec")
    assert_imports(ast.parse(block.text))


@pytest.mark.parametrize("file", sorted((ROOT / "docs").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT)))
def test_programs_in_files_import_what_there_is(file):
    assert_imports(ast.parse(file.read_text(encoding="utf-8")))


def assert_imports(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unified_ranker":
            for alias in node.names:
                there = (
                    python_api.find(node.module, alias.name)
                    or python_api.file_of(f"{node.module}.{alias.name}").is_file()
                )
                assert there, f"{node.module} has no {alias.name}"


def test_dotted_names_in_prose_are_there():
    """`unified_ranker.store.open_store` and its like name a module, or something in one."""
    for page in pages():
        for code in inline_code(page) if page.name != "CHANGELOG.md" else ():
            found = re.match(r"(unified_ranker(?:\.\w+)+)", code)
            if found and found[1] != ENTRY_POINTS:
                module, _, name = found[1].rpartition(".")
                assert python_api.file_of(found[1]).is_file() or python_api.find(module, name), f"{page}: {found[1]}"


def test_the_dag_runs_commands_that_there_are():
    tree = ast.parse(DAG.read_text(encoding="utf-8"))
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "COMMANDS")
    lines = [eval(ast.unparse(value), {"SERVICE": "http://127.0.0.1:8080"}) for value in table.values]  # noqa: S307
    assert len(lines) > 5
    assert [text for line in lines for words in simple_commands(line) if (text := problem(words))] == []
