"""Crossed features of a request, which a task may do without."""

from collections.abc import Sequence

from unified_ranker.tensorflow import tf, tfrs


class TaskCrosses(tf.keras.layers.Layer):
    """DCN-v2 crosses (arXiv 2008.13535) of low rank, for the tasks that want them.

    Crosses learn few examples by heart: crossed with an item, a request's context is as good as its name. A task with
    few examples can keep its features as they are, while the others have theirs crossed.
    """

    def __init__(self, layers: int, rank: int, wanted: Sequence[bool], initializer: str = "truncated_normal") -> None:
        """Build `layers` crosses of rank `rank`; `wanted` says who has them, the first for task 1."""
        super().__init__(name="crosses")
        self.layers = [
            tfrs.layers.dcn.Cross(projection_dim=rank, kernel_initializer=initializer) for _ in range(layers)
        ]
        # None where nobody does without, or there are none: the graph is then the plain one.
        self.wanted = None if all(wanted) or not layers else tf.constant([1.0, *wanted], tf.float32)

    def call(self, features: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Return `features` `[batch, ..., n]` crossed with themselves where the `task` `[batch]` wants it."""
        crossed = features
        for cross in self.layers:
            crossed = cross(features, crossed)
        if self.wanted is None:
            return crossed
        wanted = tf.gather(self.wanted, task)
        wanted = tf.reshape(wanted, tf.concat([tf.shape(wanted), tf.ones(features.shape.rank - 1, tf.int32)], 0))
        return features + wanted * (crossed - features)
