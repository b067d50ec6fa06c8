"""Extensions of the tests: implementations that another package would bring, each a file in behaviours/extensions/."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unified_ranker.core.extensions import load_extensions
from unified_ranker.core.registry import Registry
from unified_ranker.signals.base import SIGNALS
from unified_ranker.store.base import STORE_BACKENDS
from unified_ranker.tasks.head_kinds.base import HEAD_KINDS

FOLDER = Path(__file__).parents[1] / "behaviours" / "extensions"
REGISTRIES: tuple[Registry, ...] = (HEAD_KINDS, SIGNALS, STORE_BACKENDS)
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.py")))


def load(*names: str) -> None:
    """Register extensions, as a project that names them does."""
    load_extensions(names, FOLDER)


@contextmanager
def forgotten_afterwards() -> Iterator[None]:
    """Take out again what is registered inside: other tests must not meet it."""
    known, path = [set(registry) for registry in REGISTRIES], [*sys.path]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in NAMES:
            sys.modules.pop(name, None)
        for registry, before in zip(REGISTRIES, known, strict=True):
            for name in set(registry) - before:
                registry.remove(name)
