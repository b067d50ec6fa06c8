"""The notebook in examples/: it is what its script makes, ran to its end, and calls what there is."""

import ast
import importlib.util
import json
import shlex

import pytest
from doc_pages import ROOT, links
from small_project import built_project, cli, tables

FILE = ROOT / "examples" / "notebook.ipynb"
CELLS = json.loads(FILE.read_text(encoding="utf-8"))["cells"]
REMEDY = "run `python examples/make_notebook.py`, look at the notebook, and commit it"


@pytest.fixture(scope="module")
def script():
    """examples/make_notebook.py, imported."""
    spec = importlib.util.spec_from_file_location("make_notebook", ROOT / "examples" / "make_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code():
    return [cell for cell in CELLS if cell["cell_type"] == "code"]


def text(cell):
    return "".join(cell["source"])


def test_cells_are_those_of_the_script(script):
    assert [(cell["cell_type"], text(cell)) for cell in CELLS] == list(script.CELLS), REMEDY


def test_it_ran_to_its_end_and_shows_nothing_of_the_machine():
    outputs = [output for cell in code() for output in cell["outputs"]]
    assert [cell["execution_count"] for cell in code()] == list(range(1, len(code()) + 1)), REMEDY
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert all(cell["outputs"] for cell in code())
    shown = json.dumps(outputs)
    assert [word for word in ("/tmp/", "/root/", "/home/", "/work/", "\\r", "WARNING") if word in shown] == []  # noqa: S108


def test_links_of_its_text_lead_somewhere(tmp_path):
    page = tmp_path / "text.md"
    page.write_text("\n".join(text(cell) for cell in CELLS if cell["cell_type"] == "markdown"), encoding="utf-8")
    assert len(links(page)) >= 2
    assert [link for link in links(page) if not (FILE.parent / link).is_file()] == []


def run(cell, names):
    """Run a cell as a notebook does; its last expression is its value."""
    if cell.startswith("!"):
        done = cli(*shlex.split(cell[1:])[1:])
        assert done.exit_code == 0, done.output
        return done.stdout
    body = ast.parse(cell)
    shown = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, "cell", "exec"), names)  # noqa: S102
    return None if shown is None else eval(compile(ast.Expression(shown.value), "cell", "eval"), names)  # noqa: S307


@pytest.mark.xdist_group("small_project")
def test_its_code_runs(tmp_path, monkeypatch):
    """As it stands up to the release; from there on with a project that is built, so that nothing is trained here."""
    monkeypatch.chdir(tmp_path)
    names = {}
    cells = [text(cell) for cell in code()]
    place = next(number for number, cell in enumerate(cells) if "project.build" in cell)
    for cell in cells[:place]:
        shown = run(cell, names)
    assert shown == [], "no check fails"
    (tmp_path / "shop").rename(tmp_path / "untrained")
    built_project().copy(tmp_path).rename(tmp_path / "shop")
    names |= {**tables(), "project": type(names["project"])(tmp_path / "shop")}
    for cell in cells[place:]:
        shown = run(cell, names)
    assert shown == ((8,), [neighbour.id for neighbour in names["near"]])
    assert len(names["near"]) == 3
    assert len(names["answers"]) == 3 * len(names["users"])


@pytest.mark.slow
def test_it_runs_in_a_kernel(script):
    cells = [cell for cell in script.executed().cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
