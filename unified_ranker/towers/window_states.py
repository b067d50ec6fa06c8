"""User states of a training batch: windows of like length go through the user tower together."""

from collections.abc import Callable

from unified_ranker.towers.history import HistoryWindows
from unified_ranker.towers.tensorflow import tf

WIDTHS = (16, 48)
"""Longest windows, in events, of all groups but the last, which has the rest; only those below the longest history."""


def states_at(
    encode: Callable[[HistoryWindows], tf.Tensor],
    windows: HistoryWindows,
    row: tf.Tensor,
    position: tf.Tensor,
    longest: int,
) -> tf.Tensor:
    """Return the state of each example, `[examples, dim]`: of window `row` after `position` of its events.

    Most users have few events, and a window that is padded to the longest costs as much as that. Windows are therefore
    cut to 16 and to 48 events where they have no more; what they give is the same, since the tower is causal.

    Args:
        encode: the user tower, from windows to states `[windows, events + 1, dim]`.
        windows: `[windows, events]`.
        row: `[examples]`.
        position: `[examples]`, at most `events`.
        longest: what a window may have of events at most. A group costs its part of the graph even when it is empty, so
            there is none for windows that cannot be.
    """
    widths = [width for width in WIDTHS if width < longest]
    count, width = tf.unstack(tf.shape(windows.events.item))
    length = tf.math.unsorted_segment_max(tf.cast(position, tf.int32), row, count)
    group = tf.reduce_sum(tf.cast(length[:, None] > tf.constant(widths, tf.int32), tf.int32), 1)
    states, begins, begin = [], tf.zeros([count], tf.int32), 0
    for number in range(len(widths) + 1):
        rows = tf.where(group == number)[:, 0]
        cut = width if number == len(widths) else tf.minimum(width, widths[number])
        own = encode(windows.cut(cut).at(rows))
        states.append(tf.reshape(own, [-1, own.shape[-1]]))
        begins = tf.tensor_scatter_nd_update(begins, rows[:, None], begin + tf.range(tf.size(rows)) * (cut + 1))
        begin += tf.size(rows) * (cut + 1)
    return tf.gather(tf.concat(states, 0), tf.gather(begins, row) + tf.cast(position, tf.int32))
