"""The base of all declarations."""

from pydantic import BaseModel, ConfigDict


class Declaration(BaseModel):
    """Base of all declarations: immutable, unknown keys refused, defaults checked too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
