"""User states of a training batch: windows of similar length go through the user tower together."""

from collections.abc import Callable

from unified_ranker.towers.history import HistoryWindows
from unified_ranker.towers.tensorflow import tf

WIDTHS = (8, 16, 48)
"""Longest windows of the groups, in events; a last group has the longer ones."""


def states_at(
    encode: Callable[[HistoryWindows], tf.Tensor],
    windows: HistoryWindows,
    row: tf.Tensor,
    position: tf.Tensor,
    longest: int,
) -> tf.Tensor:
    """Return the state of each example, `[examples, dim]`: that of window `row` after `position` of its events.

    Most users have few events, and padding makes each window cost as much as the longest. Windows of at most 16 and of
    at most 48 events are therefore cut to these widths; states do not change, because the tower is causal.

    Args:
        encode: the user tower, from windows to states `[windows, events + 1, dim]`.
        windows: `[windows, events]`.
        row: `[examples]`.
        position: `[examples]`, at most `events`.
        longest: largest number of events in a window. Groups of longer windows are not built, because an empty group
            takes time in the graph, too.
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
