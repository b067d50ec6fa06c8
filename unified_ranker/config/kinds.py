"""Kinds of a declaration, one of which `type` chooses. Other packages may register more.

A field of a model is declared as `Annotated[Any, OneOf("package.base:KINDS")]`. `KINDS` is the registry of an extension
point, in a package that imports this one. It is looked up when a value is read, so that kinds registered later are
read, too.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from unified_ranker.config.declaration import Declaration
from unified_ranker.core.registry import Registry

D = TypeVar("D", bound=Declaration)


class Kinds(Registry[type[D]]):
    """Registry of declarations, each by the one value of its field `type`."""

    def __init__(self, point: str) -> None:
        super().__init__(point, tag_of)


def tag_of(declaration: type[Declaration]) -> str:
    """Return the name by which `type` chooses a declaration.

    Raises:
        TypeError: its field `type` is no `Literal` of one name.
    """
    field = declaration.model_fields.get("type")
    names = get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()
    if len(names) != 1:
        raise TypeError(f'`{declaration.__name__}` must have a field `type: Literal["name"]`, its name in the YAML.')
    return str(names[0])


class OneOf:
    """Annotation of a field that holds one of the registered kinds.

    Args:
        registry: where they are registered, as "module:NAME".
        default: the kind where `type` is absent; None: `type` must be given.
    """

    def __init__(self, registry: str, default: str | None = None) -> None:
        self._registry, self._default = registry, default

    @property
    def registry(self) -> Kinds[Any]:
        """The registry; its package is imported on first use."""
        module, name = self._registry.split(":")
        found: Kinds[Any] = getattr(importlib.import_module(module), name)
        return found

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate values by the kinds that are registered at that time."""
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe the kinds that are registered now."""
        return {"oneOf": [handler(kind.__pydantic_core_schema__) for _, kind in self.registry.items()]}

    def _read(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            value = value if self._default is None else {"type": self._default, **value}
        return _reader(self.registry.items()).validate_python(value)


def annotation_of(field: FieldInfo) -> Any:
    """Return a field's `OneOf` mark, or else its annotation."""
    return next((mark for mark in field.metadata if isinstance(mark, OneOf)), field.annotation)


@lru_cache(maxsize=64)
def _reader(kinds: tuple[tuple[str, type[Declaration]], ...]) -> SchemaValidator:
    """Return pydantic's reader of a union that `type` discriminates: its errors are worded as those of any union."""
    reads: dict[Any, CoreSchema] = {name: _reading(kind.model_validate) for name, kind in kinds}
    return SchemaValidator(core_schema.tagged_union_schema(reads, discriminator="type"))


def _reading(validate: Callable[[Any], Any]) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(validate)
