"""Extensions of the tests: implementations that another package would bring, each a file in behaviours/extensions/."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unified_ranker.core.extensions import load_extensions
from unified_ranker.core.registry import forget_registered

FOLDER = Path(__file__).parents[1] / "behaviours" / "extensions"
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.py")))


def load(*names: str) -> None:
    """Register extensions, as a project that names them does."""
    load_extensions(names, FOLDER)


@contextmanager
def forgotten_afterwards(*modules: str) -> Iterator[None]:
    """Take out again what modules, by default these extensions, register inside: other tests must not meet it."""
    path = [*sys.path]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in modules or NAMES:
            sys.modules.pop(name, None)
        forget_registered(modules or NAMES)
