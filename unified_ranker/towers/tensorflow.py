"""Import of TensorFlow for the whole project, at the first use of one of its names.

Keras 2 is chosen before that: tensorflow-recommenders 0.7.7 refuses Keras 3, and TensorFlow decides at import time
which Keras `tf.keras` is. Every module of the project writes `from unified_ranker.towers.tensorflow import tf, tfrs`.

A module that uses TensorFlow only inside functions can be imported without it. Signals, heads and features need that:
they are declared in the files that build them, and declarations are also read where TensorFlow is not installed. Such a
module begins with `from __future__ import annotations`, because annotations would be evaluated at import.
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
# Without a GPU TensorFlow logs two errors at every start; real failures raise exceptions in Python, too.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class _OnUse(ModuleType):
    """Module that is imported when one of its names is first used."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_recommenders as tfrs
else:
    tf, tfrs = _OnUse("tensorflow"), _OnUse("tensorflow_recommenders")
