"""The optional parts of the installation: whether they are there, without importing them, and what to do if not."""

import importlib.util

TEXT_PACKAGES = ("tensorflow_text", "safetensors")
TEXT_REMEDY = "pip install 'unified_ranker[text]', or set `text: {type: hashed}` in towers/item.yaml"


def missing_for_text() -> list[str]:
    """Return the packages of the extra `[text]` that are not installed."""
    return [name for name in TEXT_PACKAGES if importlib.util.find_spec(name) is None]
