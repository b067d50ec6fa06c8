"""The optional parts of the installation: whether they are there, without importing them, and what to do if not."""

import importlib.util
from types import ModuleType

from unified_ranker.core.errors import UserError

TEXT_PACKAGES = ("tensorflow_text", "safetensors")
TEXT_REMEDY = "pip install 'unified_ranker[text]', or set `text: {type: hashed}` in towers/item.yaml"


def missing_for_text() -> list[str]:
    """Return the packages of the extra `[text]` that are not installed."""
    return [name for name in TEXT_PACKAGES if importlib.util.find_spec(name) is None]


def text_ops() -> ModuleType:
    """Return TensorFlow Text, whose import registers its tokenizers; only models that hold them need it.

    Raises:
        UserError: the extra `[text]` is not installed.
    """
    missing = missing_for_text()
    if missing:
        raise UserError(
            "a text encoder of type `distilled` or `transformer` needs the extra `[text]`. "
            f"Not installed: {', '.join(missing)}. Remedy: {TEXT_REMEDY}."
        )
    import tensorflow_text

    return tensorflow_text
