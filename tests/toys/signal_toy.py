"""Requests as signals see them, with blanks where a test says nothing."""

import numpy as np

from unified_ranker.signals.base import SignalRequest
from unified_ranker.towers.tensorflow import tf


def signal_request(rows, words=None, source_item=None, recent=None, recent_time=None, task=None, timestamp=None):
    """Return `rows` requests of an unknown task at time 0, of nobody known, unless columns are given.

    The events of a history are a second apart unless their times are given.
    """
    nothing = np.full((rows, 1), -1)
    width = np.shape(nothing if recent is None else recent)[1]

    def column(given, blank):
        return tf.constant(blank if given is None else given, tf.int64)

    return SignalRequest(
        words=column(words, nothing),
        source_item=column(source_item, nothing[:, 0]),
        recent=column(recent, nothing),
        recent_time=column(recent_time, np.tile(np.arange(width, 0, -1) * (recent is not None), (rows, 1))),
        task=column(task, np.zeros(rows)),
        timestamp=column(timestamp, np.zeros(rows)),
    )
