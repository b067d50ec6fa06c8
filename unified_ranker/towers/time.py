"""Times as features: gaps on a logarithmic scale, hours and weekdays on circles."""

import numpy as np

from unified_ranker.core.times import DAY
from unified_ranker.towers.tensorflow import tf

GAP_BUCKETS = 32


def gap_bucket(seconds: tf.Tensor) -> tf.Tensor:
    """Return the buckets of gaps (any shape), by powers of two: bucket k begins at 2^k - 1 seconds, the last is 31.

    In whole numbers, because a float logarithm rounds differently at different positions of a tensor, so that equal
    gaps could have different buckets.
    """
    begins = tf.constant([2**k - 1 for k in range(1, GAP_BUCKETS)], tf.int64)
    flat = tf.reshape(tf.cast(seconds, tf.int64), [-1])
    return tf.reshape(tf.searchsorted(begins, flat, side="right"), tf.shape(seconds))


def clock_channels(timestamp: tf.Tensor) -> tf.Tensor:
    """Return sine and cosine of the hour and the weekday (UTC) of seconds `[n]`, `[n, 4]`."""
    day = tf.cast(timestamp % DAY, tf.float32) / DAY
    week = tf.cast(timestamp % (7 * DAY), tf.float32) / (7 * DAY)
    angles = 2 * np.pi * tf.stack([day, week], 1)
    return tf.concat([tf.sin(angles), tf.cos(angles)], 1)
