"""`--extension` of pytest: every suite tries the implementations of a module that it knows nothing of."""

import subprocess
import sys
from pathlib import Path

import extension_points

ROOT = Path(__file__).parents[2]
OTHERS = """
import functools
from typing import Literal

from {package}.base import {registry}

kind = {registry}.items()[0][1]
if isinstance(kind, type) and "type" in getattr(kind, "model_fields", ()):
    {registry}.add("somebodys", type("Other", (kind,), {{"__annotations__": {{"type": Literal["somebodys"]}}}}))
elif isinstance(kind, type):
    {registry}.add("somebodys", type("Other", (kind,), {{"name": "somebodys"}}))
else:
    {registry}.add("somebodys", functools.partial(kind))
"""


def run(directory, *options):
    """What pytest prints, run in this repository with modules of `directory`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options]
    path = {"PYTHONPATH": f"{ROOT}:{directory}", "PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, check=False)


def test_every_suite_tries_what_is_given(tmp_path):
    """One module a point: a copy of the first implementation, under a name of its own."""
    points = {p.name: ".".join(p.file.relative_to(ROOT).parent.parts) for p in extension_points.points()}
    given = []
    for registry, package in points.items():
        (tmp_path / f"of_{registry.lower()}.py").write_text(OTHERS.format(package=package, registry=registry))
        given += ["--extension", f"of_{registry.lower()}"]
    done = run(tmp_path, "--collect-only", *given, "tests/behaviours")
    assert done.returncode == 0, done.stdout + done.stderr
    suites = {line.partition("::")[0] for line in done.stdout.splitlines() if "somebodys" in line}
    known = {str(file.relative_to(ROOT)) for file in Path(__file__).parent.glob("test_every_*.py")}
    assert suites == known


def test_a_source_of_somebody_else_is_tried_with_its_own_writer(tmp_path):
    example = (ROOT / "tests/behaviours/extensions/json_lines.py").read_text()
    (tmp_path / "shop_source.py").write_text(example.replace('register("jsonl")', 'register("somebodys")'))
    done = run(tmp_path, "--extension", "shop_source", "-k", "somebodys", "tests/behaviours/test_every_event_source.py")
    assert "5 passed" in done.stdout, done.stdout
