"""Extensions in the tests: those that `--extension` names, and the examples, each a file in behaviours/extensions/."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unified_ranker.core.extensions import load_extensions
from unified_ranker.core.registry import forget_registered

FOLDER = Path(__file__).parents[1] / "behaviours" / "extensions"
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.py")))


def load(*names: str) -> None:
    """Register examples, as a project that names them does."""
    load_extensions(names, FOLDER)


def load_given(names: tuple[str, ...]) -> None:
    """Register what `--extension` names: modules of the current directory, of PYTHONPATH, or installed."""
    load_extensions(names, Path.cwd())


def brought(modules: tuple[str, ...], function: str) -> Callable[..., Any] | None:
    """Return the function with which one of the modules helps the suites, such as `write_events`; None for none."""
    return next((getattr(sys.modules[m], function) for m in modules if hasattr(sys.modules[m], function)), None)


@contextmanager
def forgotten_afterwards(*modules: str) -> Iterator[None]:
    """Take out again what modules, by default the examples, register inside: other tests must not meet it."""
    path = [*sys.path]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in modules or NAMES:
            sys.modules.pop(name, None)
        forget_registered(modules or NAMES)
