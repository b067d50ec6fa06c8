"""The base of all declarations."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, field_validator
from pydantic_core import CoreSchema


def _make_numbers_strict(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") in ("int", "float"):
            node["strict"] = True
        for inner in node.values():
            _make_numbers_strict(inner)
    elif isinstance(node, list):
        for inner in node:
            _make_numbers_strict(inner)


class Declaration(BaseModel):
    """Base of all declarations: immutable, unknown keys refused, defaults checked too, numbers only from numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _home_is_known(cls, value: Any) -> Any:
        """Refuse a path that begins with the home of an unknown user, here and not where it is first opened."""
        if isinstance(value, Path):
            try:
                value.expanduser()
            except RuntimeError as error:
                raise ValueError(
                    f"a path that begins with `~` must name a user of this machine. Received: `{value}`. Write the "
                    "path without `~`."
                ) from error
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make numbers strict: `epochs: yes` would be read as 1, and quoted digits as their number.

        Pydantic's `strict=True` would do more: paths and tuples could not come from YAML either.
        """
        schema = handler(source)
        _make_numbers_strict(schema)
        return schema
