"""Encoded requests and labels by hand, for tests of what comes behind the towers."""

from typing import Any

import numpy as np
from signal_toy import signal_request

from unified_ranker.tasks.encoded_state import EncodedState, Labels
from unified_ranker.towers.tensorflow import tf


def encoded_state(rows: int, dim: int = 8, **columns: Any) -> EncodedState:
    """Return requests of task 1 at time 0 without a history; `columns` replace the zeros."""
    nobody = signal_request(rows, task=np.ones(rows))
    blank = {
        "embedding": tf.zeros([rows, dim]),
        "source": tf.zeros([rows, dim]),
        "context": tf.zeros([rows, 2 * dim]),
        "task": tf.ones([rows], tf.int64),
        "timestamp": tf.zeros([rows], tf.int64),
        "history": tf.zeros([rows, 1, dim]),
        "history_mask": tf.zeros([rows, 1], tf.bool),
        "signals": nobody,
    }
    return EncodedState(**{**blank, **columns})


def labels(items: Any, **columns: Any) -> Labels:
    """Return examples with these positives, all for head 0 with weight 1; `columns` replace the rest."""
    item = tf.convert_to_tensor(items, tf.int64)
    one = tf.ones_like(item, tf.float32)
    blank = {
        "item": item, "head": item * 0, "weight": one, "value": one * np.nan, "retrieved": one,
        "targets": item[:, None], "decay": one[:, None],
    }  # fmt: skip
    return Labels(**{**blank, **columns})
