"""Typed groups of columns (arrays or tensors), in place of dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self, TypeAlias, get_type_hints

from unified_ranker.towers.tensorflow import tf

Column: TypeAlias = Any
"""NumPy array or tensor with one row for each request, example or item of its group."""


class Columns:
    """Base of frozen dataclasses of columns: `tf.nest` and `tf.function` see through them.

    A field holds a column or another group. The same class holds NumPy arrays outside the graph, tensors inside it,
    and `tf.TensorSpec` in signatures.
    """

    def __tf_flatten__(self) -> tuple[tuple[()], tuple[Any, ...]]:
        """Return the fields to TensorFlow (`tf.nest`'s protocol for classes)."""
        return (), tuple(vars(self).values())

    @classmethod
    def __tf_unflatten__(cls, metadata: tuple[()], components: tuple[Any, ...]) -> Self:
        """Build from what `__tf_flatten__` returned."""
        return cls(*components)

    def take(self, rows: Any) -> Self:
        """Return the rows `rows` of NumPy columns: indices or a mask."""
        return type(self)(*(v.take(rows) if isinstance(v, Columns) else v[rows] for v in vars(self).values()))

    def at(self, rows: tf.Tensor) -> Self:
        """Return the rows `rows` `[n]` of tensors."""
        return tf.nest.map_structure(lambda column: tf.gather(column, rows), self)

    def by_name(self) -> dict[str, Any]:
        """Return the columns by name, those of a field's group as `field/name`, for callers that need dictionaries."""
        out: dict[str, Any] = {}
        for name, value in vars(self).items():
            inner = value.by_name() if isinstance(value, Columns) else None
            out |= {name: value} if inner is None else {f"{name}/{own}": column for own, column in inner.items()}
        return out

    @classmethod
    def names(cls) -> list[str]:
        """Return the names that `by_name` gives."""
        kinds = get_type_hints(cls)
        out = []
        for field in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            inner = _group(kinds[field.name])
            out += [field.name] if inner is None else [f"{field.name}/{own}" for own in inner.names()]
        return out

    @classmethod
    def of_names(cls, columns: Mapping[str, Any]) -> Self:
        """Build from what `by_name` returned."""
        kinds, values = get_type_hints(cls), []
        for field in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            inner, prefix = _group(kinds[field.name]), f"{field.name}/"
            if inner is None:
                values.append(columns[field.name])
            else:
                own = {name.removeprefix(prefix): c for name, c in columns.items() if name.startswith(prefix)}
                values.append(inner.of_names(own))
        return cls(*values)


def _group(kind: Any) -> type[Columns] | None:
    """Return the group that a field holds; None for a column."""
    return kind if isinstance(kind, type) and issubclass(kind, Columns) else None
