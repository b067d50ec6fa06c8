"""Seconds of a history: events of one second have no order, so the user tower treats them as one set."""

from dataclasses import dataclass

from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class EventSeconds:
    """Positions of a sequence, the profile and then the events, grouped by their second; the profile is alone.

    Attributes:
        first: position at which the second of each position begins, `[batch, positions]`.
        distance: 1 and the number of positions between the seconds of two positions, 0 within one second; negative
            where the second (the last axis) is later, `[batch, positions, positions]`.
        together: whether two positions are of one second, `[batch, positions, positions]`.
    """

    first: tf.Tensor
    distance: tf.Tensor
    together: tf.Tensor

    @classmethod
    def of(cls, gap: tf.Tensor) -> "EventSeconds":
        """Group by the gaps of `HistoryEvents`, `[batch, events]`."""
        begins = tf.pad(tf.cast(gap != 0, tf.int32)[:, 1:], [[0, 0], [2, 0]], constant_values=1)[
            :, : tf.shape(gap)[1] + 1
        ]
        number = tf.cumsum(begins, axis=1)
        first, behind = (tf.searchsorted(number, number, side=side) for side in ("left", "right"))
        together = number[:, :, None] == number[:, None, :]
        distance = tf.where(together, 0, first[:, :, None] - behind[:, None, :] + 1)
        return cls(first, distance, together)

    def mean(self, states: tf.Tensor) -> tf.Tensor:
        """Return the mean of the states `[batch, positions, dim]` of each position's second, of the same shape."""
        shares = tf.cast(self.together, states.dtype)
        return tf.matmul(shares / tf.reduce_sum(shares, 2, keepdims=True), states)

    def of_first(self, gap: tf.Tensor) -> tf.Tensor:
        """Return the gap before each event's second, `[batch, events]`."""
        return tf.gather(gap, tf.maximum(self.first[:, 1:] - 1, 0), batch_dims=1)
