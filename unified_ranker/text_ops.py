"""TensorFlow Text, which only some models need."""

import importlib.util
from types import ModuleType

from unified_ranker.errors import UserError


def have_text_ops() -> bool:
    """Return whether TensorFlow Text is installed, without importing it."""
    return importlib.util.find_spec("tensorflow_text") is not None


def text_ops() -> ModuleType:
    """Return TensorFlow Text, whose import registers its tokenizers; only models that hold them need it.

    Raises:
        UserError: it is not installed.
    """
    if not have_text_ops():
        raise UserError(
            "the tokenizers of TensorFlow Text are not installed here. A text encoder of type `distilled` or "
            "`transformer` needs them: pip install 'unified_ranker[text]', or set `text: {type: hashed}` in "
            "towers/item.yaml."
        )
    import tensorflow_text

    return tensorflow_text
