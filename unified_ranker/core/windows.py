"""Windows of histories: the last events strictly before a moment, oldest first, padded at the end."""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import Ints, Mask


@dataclass(frozen=True, eq=False)
class Windows:
    """Events of some windows, as rows of the one table that holds all histories.

    Attributes:
        rows: of the events, window by window, `[events]`.
        inside: which slots of the padded windows hold an event, `[windows, width]`: the first ones of each.
    """

    rows: Ints
    inside: Mask

    @property
    def length(self) -> Ints:
        """Events of each window, `[windows]`."""
        return np.count_nonzero(self.inside, axis=1)

    def pad(self, events: np.ndarray, blank: object) -> np.ndarray:
        """Return a column of the events at `rows` `[events]` as `[windows, width]`, with `blank` behind."""
        out = np.full(self.inside.shape, blank, events.dtype)
        out[self.inside] = events
        return out


def whole_seconds(end: Ints, count: Ints, most: int, time: Ints) -> Ints:
    """Return how many of the last events a window of at most `most` holds, `[windows]`: whole seconds of them.

    Events of one second have no order, so none of them is the older one that a full window would leave out. A second
    that does not fit is left out with all before it. One of more than `most` events never fits: of it the last rows are
    read: the rows of a second are in the order of their items in the catalogue, which is that of their creation.

    Args:
        end: the row after the last event of each history, `[windows]`; ignored where `count` is 0.
        count: how many events the history has, `[windows]`.
        most: greatest length of a window; at least 1.
        time: seconds of the rows, ascending within each history, `[rows]`.
    """
    kept = np.minimum(count, most)
    full = np.flatnonzero(kept < count)
    begin = end[full] - most
    inside = time[begin[:, None] + np.arange(most)]
    divided = np.count_nonzero(inside == time[begin - 1][:, None], axis=1)
    # A row of the same second that lies `most` rows before its last one tells that there are more.
    other = begin + divided - 1 - most
    more = (other >= end[full] - count[full]) & (time[np.maximum(other, 0)] == time[begin - 1])
    kept[full] -= np.where(more, 0, divided)
    return kept


def last_events(end: Ints, count: Ints, width: int = 0, newest_first: bool = False) -> Windows:
    """Return the last events before a moment of several histories; each lies in one table, ordered by time.

    Args:
        end: the row after the last event strictly before the moment, `[windows]`; ignored where `count` is 0.
        count: how many events each window holds, `[windows]`; see `whole_seconds`.
        width: least width of the padded windows; they are wider where the longest window is.
        newest_first: whether a window begins with its newest event, in place of its oldest.
    """
    column = np.arange(count.max(initial=width))[None]
    inside = column < count[:, None]
    rows = end[:, None] - 1 - column if newest_first else (end - count)[:, None] + column
    return Windows(rows[inside], inside)
