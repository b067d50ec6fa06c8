"""What imports what: one way through the layers, TensorFlow where it is needed, pins that fit."""

import ast
import configparser
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = "unified_ranker"
# From the bottom up: a package imports from those before it alone, for types, too.
LAYERS = (
    "core", "config", "log", "reading", "engines", "events", "store", "prepare", "towers", "signals", "tasks", "model",
    "training", "evaluation", "release", "export", "vectors", "simulation", "project", "model_server", "serving", "cli",
    "__main__", PACKAGE,
)  # fmt: skip
"""The package's own `__init__` is the last: it hands out `Project` and `Recommender`, so nothing below may need it."""
LIGHT = (
    "numpy",
    "pandas",
    "pyarrow",
    "tensorflow",
    "tf_keras",
    "keras",
    "scann",
    "apache_beam",
    "fastapi",
    "rich.table",
)


def modules():
    """Every module by its dotted name below the package; the package's own has the package's name."""
    found = {}
    for file in (ROOT / PACKAGE).rglob("*.py"):
        parts = file.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    found[PACKAGE] = found.pop("")
    return found


def imported(file, known):
    """The modules of the package that a file imports, inside functions and for types, too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are by full path"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {n if n.removeprefix(f"{PACKAGE}.") in known else node.module for n in inner}
    own = {name.removeprefix(f"{PACKAGE}.") for name in names if name == PACKAGE or name.startswith(f"{PACKAGE}.")}
    assert own <= known.keys(), f"{file} imports what there is not: {own - known.keys()}"
    return own


def test_every_package_has_a_rank_of_its_own():
    assert {name.split(".")[0] for name in modules()} == set(LAYERS)
    assert len(set(LAYERS)) == len(LAYERS)


def test_imports_point_down_the_list():
    known = modules()
    wrong = {}
    for module, file in known.items():
        for other in imported(file, known):
            ends = module.split(".")[0], other.split(".")[0]
            if LAYERS.index(ends[1]) > LAYERS.index(ends[0]):
                wrong.setdefault(ends, []).append(f"{module} -> {other}")
    assert not wrong


def test_no_circle_of_modules():
    """Not inside functions nor for types either: one that a module imports late is no less a circle to a reader."""
    known = modules()
    needs = {module: imported(file, known) for module, file in known.items()}
    while ready := {module for module, others in needs.items() if not others & needs.keys() - {module}}:
        needs = {module: others for module, others in needs.items() if module not in ready}
    # What is left is in a circle, or needs one; the latter goes, so that the message names the circle alone.
    while unneeded := needs.keys() - set().union(*needs.values()):
        needs = {module: others for module, others in needs.items() if module not in unneeded}
    assert not needs, f"a circle among {sorted(needs)}"


def test_tensorflow_comes_through_its_door():
    """It chooses Keras 2 before TensorFlow is imported; the messages of TF Serving have a door behind it."""
    guilty = []
    for module, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(n.split(".")[0] in ("tensorflow", "tensorflow_recommenders", "keras", "tf_keras") for n in names):
                guilty.append(module)
    assert set(guilty) == {"towers.tensorflow", "model_server.messages", "model_server.plain_tensorflow"}


def loaded_by(*names):
    """Import modules in a fresh Python, and return what each of them left in `sys.modules`."""
    code = f"""
import importlib, json, sys
out = {{}}
for name in {list(names)!r}:
    importlib.import_module(name)
    out[name] = sorted(sys.modules)
print(json.dumps(out))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout)


def test_the_package_and_the_command_line_are_light():
    """So that `unified-ranker --help` answers in under half a second."""
    for name, loaded in loaded_by(PACKAGE, f"{PACKAGE}.cli").items():
        assert not set(LIGHT) & set(loaded), name


def test_what_validates_and_prepares_loads_no_tensorflow():
    names = ("config", "log.log_checks", "log.movielens", "prepare.prepared", "project.stages", "cli.stage_commands")
    for name, loaded in loaded_by(*(f"{PACKAGE}.{n}" for n in names)).items():
        assert "tensorflow" not in loaded, name


@pytest.mark.xdist_group("small_project")
def test_scann_works_beside_the_pinned_tensorflow():
    """scann 1.4.2 is compiled against TensorFlow 2.20; beside 2.21 its import fails."""
    import numpy as np

    from unified_ranker.towers.tensorflow import tf

    scann = pytest.importorskip("scann", reason="it is a dependency", exc_type=ModuleNotFoundError)
    assert tf.__version__ == "2.20.0"
    vectors = np.eye(8, dtype=np.float32)
    found, _ = scann.scann_ops_pybind.builder(vectors, 3, "dot_product").score_brute_force().build().search(vectors[5])
    assert found[0] == 5


def requirements():
    """What setup.cfg says that the package needs."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return [Requirement(line) for line in setup["options"]["install_requires"].split("\n") if line.strip()]


@pytest.mark.parametrize("wanted", requirements(), ids=str)
def test_what_is_installed_is_what_setup_cfg_pins(wanted):
    assert wanted.specifier.contains(metadata.version(wanted.name))


def test_what_must_match_is_pinned_exactly():
    """The versions that work together (docs/decisions/0001-versions.md)."""
    pins = {wanted.name: str(wanted.specifier) for wanted in requirements()}
    stack = {
        "tensorflow": "==2.20.0",
        "tf-keras": "==2.20.1",
        "tensorflow-recommenders": "==0.7.7",
        "scann": "==1.4.2",
        "tensorflow-serving-api": "==2.20.0",
        "apache-beam": "==2.77.0",
    }
    assert {name: pins.get(name) for name in stack} == stack
