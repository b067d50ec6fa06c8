"""Registry of an extension point: its implementations by name, those of this package and those of others."""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Generic, TypeVar

from unified_ranker.core.errors import UserError, unknown_name

ENTRY_POINTS = "unified_ranker.extensions"
"""Group of entry points by which an installed package names the modules that register its implementations."""

T = TypeVar("T")
K = TypeVar("K")


class Registry(Generic[T]):
    """Implementations of one extension point by name, in order of their registration.

    Built-in ones are registered by the package of the extension point. Others are registered by modules that
    `extensions` in project.yaml names, or that an installed package names as entry points; the latter are imported
    when a name is asked for that is not known yet.

    Args:
        point: the word for one implementation in messages, such as "signal".
        name_of: returns an implementation's own name, for `declare`.
    """

    def __init__(self, point: str, name_of: Callable[[T], str] | None = None) -> None:
        self.point = point
        self._entries: dict[str, T] = {}
        self._name_of = name_of

    def add(self, name: str, implementation: T) -> None:
        """Register an implementation.

        Raises:
            ValueError: another implementation has the name. A class that is defined again, as in a notebook,
                replaces its earlier definition.
        """
        known = self._entries.get(name, implementation)
        if _origin(known) != _origin(implementation):
            raise ValueError(
                f"the {self.point} `{name}` is registered already, as {_origin(known)}. "
                f"Received: {_origin(implementation)}. Choose another name."
            )
        self._entries[name] = implementation

    def register(self, name: str) -> Callable[[K], K]:
        """Return a decorator that registers an implementation by `name`; see `add`."""

        def decorate(implementation: K) -> K:
            self.add(name, implementation)  # type: ignore[arg-type]  # a subtype of T, which no bound can say
            return implementation

        return decorate

    def declare(self, implementation: K) -> K:
        """Register an implementation by its own name, as a decorator; see `add`."""
        if self._name_of is None:
            raise TypeError(f"a {self.point} has no name of its own. Use `register(name)`.")
        return self.register(self._name_of(implementation))(implementation)  # type: ignore[arg-type]

    def remove(self, name: str) -> None:
        """Remove an implementation, for tests."""
        del self._entries[name]

    def __getitem__(self, name: str) -> T:
        """Return the implementation of that name.

        Raises:
            UserError: there is none; the message names the known ones, and the nearest.
        """
        self.discover(name)
        if name not in self._entries:
            raise unknown_name(self.point, name, self._entries)
        return self._entries[name]

    def discover(self, name: object) -> None:
        """Import the extensions of installed packages, unless the name is known already."""
        if name not in self._entries:
            load_entry_points()

    def __contains__(self, name: object) -> bool:
        """Tell whether the name is registered."""
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        """Return the number of implementations."""
        return len(self._entries)

    def items(self) -> tuple[tuple[str, T], ...]:
        """Return names and implementations."""
        return tuple(self._entries.items())


def load_extensions(modules: Iterable[str]) -> None:
    """Import modules, which register their implementations; those in the current directory are found, too.

    Raises:
        UserError: one cannot be imported.
    """
    for name in modules:
        try:
            if importlib.util.find_spec(name) is None:
                search_for_extensions(Path.cwd())
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = f"there is no module `{error.name}`"
            raise UserError(
                f"must be modules that can be imported. Received: `{name}`: {missing}. Install it, or put "
                "its directory on PYTHONPATH."
            ) from error


def search_for_extensions(directory: Path) -> None:
    """Append a directory to the module search path."""
    place = str(directory.resolve())
    if place not in sys.path:
        sys.path.append(place)


_loaded_entry_points: set[str] = set()


def load_entry_points() -> None:
    """Import the modules that installed packages name as entry points, each once."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        if entry.value not in _loaded_entry_points:
            _loaded_entry_points.add(entry.value)
            entry.load()


def _origin(implementation: object) -> str:
    """Return where something was defined: module and name; an object's own text where it has none."""
    module, name = (getattr(implementation, key, None) for key in ("__module__", "__qualname__"))
    return f"{module}.{name}" if module and name else repr(implementation)
