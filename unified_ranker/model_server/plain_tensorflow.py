"""TensorFlow for the model server: nothing beside it is loaded, as in `tensorflow/serving`.

`unified_ranker.towers.tensorflow` also imports tensorflow-recommenders, which registers ScaNN's ops: a server behind
that door would accept graphs that the stock one refuses. Keras 2 is chosen all the same, in case the process goes on
to use it.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

__all__ = ["tf"]
