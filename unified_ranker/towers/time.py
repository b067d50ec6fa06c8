"""Times as features: gaps on a logarithmic scale, hours and weekdays on circles."""

import numpy as np

from unified_ranker.tensorflow import tf

GAP_BUCKETS = 32
DAY = 86_400


def gap_bucket(seconds: tf.Tensor) -> tf.Tensor:
    """Number gaps by powers of two: 0 for none, 1 for up to a second, … 31 for about 34 years and more."""
    positive = tf.maximum(tf.cast(seconds, tf.float32), 0.0)
    bucket = tf.cast(tf.math.floor(tf.math.log(positive + 1.0) / np.log(2.0)), tf.int32)
    return tf.clip_by_value(bucket, 0, GAP_BUCKETS - 1)


def clock_channels(timestamp: tf.Tensor) -> tf.Tensor:
    """Return sine and cosine of the hour and the weekday (UTC) of seconds `[n]`, `[n, 4]`."""
    day = tf.cast(timestamp % DAY, tf.float32) / DAY
    week = tf.cast(timestamp % (7 * DAY), tf.float32) / (7 * DAY)
    angles = 2 * np.pi * tf.stack([day, week], 1)
    return tf.concat([tf.sin(angles), tf.cos(angles)], 1)
