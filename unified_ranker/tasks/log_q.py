"""Log-Q correction: the chance that an item is among those that a batch draws (Yi et al., RecSys 2019)."""

from __future__ import annotations

import numpy as np

from unified_ranker.towers.tensorflow import tf


def chance_among(share: tf.Tensor, items: int, positives: tf.Tensor, uniform: int) -> tf.Tensor:
    """Return the chance of items `[n]` to be drawn at least once, as a positive or uniformly, in (0, 1).

    Args:
        share: of all positives, `[n]`. An item with none can still be a later target, or in a history: its share is
            taken as a hundredth of uniform.
        items: number of items in the catalogue.
        positives: number of positives, a scalar.
        uniform: number of items drawn from the whole catalogue.
    """
    q = tf.clip_by_value(share, 0.01 / items, 0.99)
    absent = tf.cast(positives, tf.float32) * tf.math.log1p(-q) + uniform * np.log1p(-1.0 / max(items, 2))
    return -tf.math.expm1(absent)
