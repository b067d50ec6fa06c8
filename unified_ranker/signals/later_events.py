"""Seconds of a user's last events: how many events came later, because those of one second have no order."""

from __future__ import annotations

from unified_ranker.towers.tensorflow import tf


def later_events(times: tf.Tensor) -> tf.Tensor:
    """Count the events of a later second than each one's, among events newest first at `times` `[batch, events]`."""
    moment = _moments(times)
    return tf.searchsorted(moment, moment, side="left")[:, :-1]


def not_earlier_events(times: tf.Tensor) -> tf.Tensor:
    """Count the events of each one's second and of later ones, `[batch, events]`; see `later_events`."""
    moment = _moments(times)[:, :-1]
    return tf.searchsorted(tf.pad(moment, [[0, 0], [0, 1]], constant_values=tf.int32.max), moment, side="right")


def _moments(times: tf.Tensor) -> tf.Tensor:
    """Number the seconds of each row, with one event behind, because a binary search refuses empty rows."""
    return tf.cumsum(tf.pad(tf.cast(times[:, 1:] != times[:, :-1], tf.int32), [[0, 0], [1, 1]]), axis=1)
