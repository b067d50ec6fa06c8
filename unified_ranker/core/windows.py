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


def last_events(end: Ints, count: Ints, most: int | None = None, width: int = 0, newest_first: bool = False) -> Windows:
    """Return the last events before a moment of several histories; each lies in one table, ordered by time.

    Args:
        end: the row after the last event strictly before the moment, `[windows]`; ignored where `count` is 0.
        count: how many events of the history lie before the moment, `[windows]`.
        most: greatest length of a window; None: no limit.
        width: least width of the padded windows; they are wider where the longest window is.
        newest_first: whether a window begins with its newest event, in place of its oldest.
    """
    kept = count if most is None else np.minimum(count, most)
    column = np.arange(kept.max(initial=width))[None]
    inside = column < kept[:, None]
    rows = end[:, None] - 1 - column if newest_first else (end - kept)[:, None] + column
    return Windows(rows[inside], inside)
