"""The one door to TensorFlow, which is imported when something of it is first used.

It chooses Keras 2 before that: tensorflow-recommenders 0.7.7 refuses Keras 3, and TensorFlow decides at import time
which Keras `tf.keras` is. Every module of the project writes `from unified_ranker.towers.tensorflow import tf, tfrs`.

A module whose body uses nothing of it can be imported without TensorFlow: signals, heads and features are declared in
the files that build them, and a declaration is also read where no TensorFlow is installed. Such a module begins with
`from __future__ import annotations`, since annotations are evaluated otherwise.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from unified_ranker.core.extras import text_ops

__all__ = ["text_ops", "tf", "tfrs"]

if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise ImportError(
        "`tensorflow` was imported before `unified_ranker.towers.tensorflow` and with Keras 3. Received: "
        f"TF_USE_LEGACY_KERAS={os.environ.get('TF_USE_LEGACY_KERAS')!r}. Set TF_USE_LEGACY_KERAS=1 before "
        "importing tensorflow, or import `unified_ranker.towers.tensorflow` first."
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"
# Without a GPU TensorFlow logs two errors at every start; what really fails also raises an exception in Python.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class _OnUse(ModuleType):
    """A module that is imported when something of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_recommenders as tfrs
else:
    tf, tfrs = _OnUse("tensorflow"), _OnUse("tensorflow_recommenders")
