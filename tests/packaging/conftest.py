"""The distributions, built as they are given away, and empty environments that get one of them.

Packages come from the index, or from pip's cache: these tests are `make check-installs`, and no part of `make test`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = (
    ".git", ".unified_ranker", "releases", "build", "dist", "*.egg-info", "*.pyc", "__pycache__", ".*_cache", ".venv*"
)  # fmt: skip


def run(*command, **options):
    """Run a command to its end; returns what it wrote on standard output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """A directory with the source distribution, and with the wheel that is built from it alone."""
    root = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, root / "tree", symlinks=True, ignore=shutil.ignore_patterns(*MADE))
    run(sys.executable, "-m", "build", "--outdir", root / "dist", root / "tree")
    return root / "dist"


@pytest.fixture(scope="session")
def wheel(dist):
    [file] = dist.glob("*.whl")
    return file


class Environment:
    """A Python with what one list of requirements and the wheel put there, and nothing else."""

    def __init__(self, place, requirements, wheel):
        self.place, self.requirements = place, requirements
        run(sys.executable, "-m", "venv", "--without-pip", place)
        pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet", "--no-compile")
        run(*pip, "--no-deps", "-r", requirements, wheel)
        [self.site] = place.glob("lib/python3*/site-packages")
        # The repository is on the path of the tests, and must not be on this one's.
        self.environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def megabytes(self):
        return sum(file.lstat().st_size for file in self.place.rglob("*")) / 2**20

    def run(self, program, *arguments):
        """Run a program of the environment's; returns the finished process."""
        command = [str(self.place / "bin" / program), *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=self.environ, cwd=self.place, timeout=60
        )


def environment(role):
    @pytest.fixture(scope="session", name=role)
    def made(tmp_path_factory, wheel):
        requirements = ROOT / "serving_config" / "requirements" / f"{role}.txt"
        return Environment(tmp_path_factory.mktemp(role) / "env", requirements, wheel)

    return made


service_role = environment("service")
vectors_role = environment("vectors")
