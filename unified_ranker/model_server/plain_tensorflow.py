"""TensorFlow for the model server, without further libraries of ops, as in `tensorflow/serving`.

`unified_ranker.towers.tensorflow` also imports tensorflow-recommenders, which registers ScaNN's ops: with it
the server would accept graphs that stock TF Serving refuses. Keras 2 is chosen here, too, in case the process uses it
later.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

__all__ = ["tf"]
