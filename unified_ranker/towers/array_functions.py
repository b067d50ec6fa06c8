"""TensorFlow functions for the rules in `core`, which run on NumPy arrays and on tensors."""

from unified_ranker.core.array_module import ArrayModule
from unified_ranker.towers.tensorflow import tf

TENSORFLOW = ArrayModule(lambda whole: tf.cast(whole, tf.float32), tf.exp, tf.clip_by_value, tf.where)
