"""The one door to TensorFlow, so that Keras 2 is always chosen before it is imported.

tensorflow-recommenders 0.7.7 refuses Keras 3, and TensorFlow decides at import time which Keras `tf.keras` is.
Every module of the project writes `from unified_ranker.towers.tensorflow import tf, tfrs`.
"""

import os
import sys

if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise ImportError(
        "`tensorflow` was imported before `unified_ranker.towers.tensorflow` and with Keras 3. Received: "
        f"TF_USE_LEGACY_KERAS={os.environ.get('TF_USE_LEGACY_KERAS')!r}. Set TF_USE_LEGACY_KERAS=1 before "
        "importing tensorflow, or import `unified_ranker.towers.tensorflow` first."
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"
# Without a GPU TensorFlow logs two errors at every start; what really fails also raises an exception in Python.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
import tensorflow_recommenders as tfrs

from unified_ranker.core.extras import text_ops

__all__ = ["text_ops", "tf", "tfrs"]
