"""Registry of an extension point: its implementations by name, those of this package and those of others."""

import functools
import sys
import weakref
from collections.abc import Callable, Collection, Iterator
from importlib import metadata
from typing import Any, Generic, TypeVar

from unified_ranker.core.errors import UserError, unknown_name

ENTRY_POINTS = "unified_ranker.extensions"
"""Group of entry points by which an installed package names the modules that register its implementations."""

_registries: "weakref.WeakSet[Registry[Any]]" = weakref.WeakSet()

T = TypeVar("T")
K = TypeVar("K")


class Registry(Generic[T]):
    """Implementations of one extension point by name, in order of their registration.

    Built-in ones are registered by the package of the extension point. Others are registered by modules that
    `extensions` in project.yaml names, or that an installed package names as entry points. The latter are imported when
    the registry is listed, or when a name is asked for that is not known yet.

    Args:
        point: the word for one implementation in messages, such as "signal".
        name_of: returns an implementation's own name, for `declare`.
    """

    def __init__(self, point: str, name_of: Callable[[T], str] | None = None) -> None:
        self.point = point
        self._entries: dict[str, T] = {}
        self._name_of = name_of
        _registries.add(self)

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
        """Remove an implementation."""
        del self._entries[name]

    def __getitem__(self, name: str) -> T:
        """Return the implementation of that name.

        Raises:
            UserError: there is none; the message names the known ones, and the nearest.
        """
        if name not in self:
            raise unknown_name(self.point, name, self)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether the name is registered."""
        if name not in self._entries:
            load_entry_points()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter([name for name, _ in self.items()])

    def __len__(self) -> int:
        """Return the number of implementations."""
        return len(self.items())

    def items(self) -> tuple[tuple[str, T], ...]:
        """Return names and implementations."""
        load_entry_points()
        return tuple(self._entries.items())

    def forget(self, modules: Collection[str]) -> None:
        """Remove the implementations that modules define."""
        for name, implementation in tuple(self._entries.items()):
            if getattr(implementation, "__module__", None) in modules:
                self.remove(name)


def forget_registered(modules: Collection[str]) -> None:
    """Remove the implementations that modules define from all registries, before the modules are imported again."""
    for registry in _registries:
        registry.forget(modules)


_loaded_entry_points: set[str] = set()


def load_entry_points() -> None:
    """Import the modules that installed packages name as entry points, each once.

    Raises:
        UserError: one of them cannot be imported.
    """
    for entry in _entry_points(tuple(sys.path)):
        if entry.value not in _loaded_entry_points:
            _loaded_entry_points.add(entry.value)
            try:
                entry.load()
            except ImportError as error:
                _loaded_entry_points.discard(entry.value)
                package = entry.dist.name  # type: ignore[union-attr]  # absent only where an entry was made by hand
                raise UserError(
                    f"the extension `{entry.value}` of the installed package `{package}` cannot be imported: {error}. "
                    "Install what it needs, or uninstall it."
                ) from error


@functools.lru_cache(maxsize=1)
def _entry_points(path: tuple[str, ...]) -> metadata.EntryPoints:
    """Return the entry points on a search path of modules; all packages are read for them, so once for a path."""
    return metadata.entry_points(group=ENTRY_POINTS)


def loaded_entry_points() -> tuple[str, ...]:
    """Return the modules that were imported because an installed package names them, sorted."""
    return tuple(sorted({value.partition(":")[0] for value in _loaded_entry_points}))


def _origin(implementation: object) -> str:
    """Return where something was defined: module and name; an object's own text where it has none."""
    module, name = (getattr(implementation, key, None) for key in ("__module__", "__qualname__"))
    return f"{module}.{name}" if module and name else repr(implementation)
