"""Pairs of a user's events in their order: events of one second have none, and are never a pair."""

import numpy as np

from unified_ranker.core.arrays import Ints
from unified_ranker.prepare.examples import runs
from unified_ranker.signals.ragged_rows import cells

MOST_OF_ONE_SECOND = 50
"""Most items of one second that make pairs. Pairs of two seconds grow with the product of both, and hundreds of items
of a user in one second are an import."""


def ordered_pairs(user: Ints, time: Ints, item: Ints, reach: int) -> tuple[Ints, Ints, Ints]:
    """Pair each event with those of its user that came before it, within `reach` events.

    The distance of two events is 1 and the number of events between their seconds, so that all events of one second are
    equally far from another. Of several events on one item in one second, as of a view and an order, one counts.

    Args:
        user: of each event, `[events]`; the events are sorted by user and time.
        time: seconds, `[events]`.
        item: `[events]`.
        reach: greatest distance.

    Returns:
        Rows of the earlier and of the later event, and their distances, `[pairs]` each.
    """
    order = np.lexsort((item, runs(user, time)))
    once = np.sort(order[np.diff(runs(user[order], time[order], item[order]), prepend=-1) != 0])
    first, second, distance = _pairs(user[once], time[once], reach)
    return once[first], once[second], distance


def _pairs(user: Ints, time: Ints, reach: int) -> tuple[Ints, Ints, Ints]:
    moment = runs(user, time)
    begins = np.append(np.flatnonzero(np.diff(moment, prepend=-1)), len(user)).astype(np.int64)
    size, owner = np.diff(begins), user[begins[:-1]]
    few = size <= MOST_OF_ONE_SECOND
    parts: list[tuple[Ints, Ints, Ints]] = []
    for step in range(1, reach + 1):
        later = np.arange(step, len(size))
        earlier = later - step
        between = begins[later] - begins[earlier + 1]
        kept = (owner[later] == owner[earlier]) & (between < reach) & few[later] & few[earlier]
        later, earlier, between = later[kept], earlier[kept], between[kept]
        pair, number = cells(size[earlier] * size[later])
        width = size[later][pair]
        first, second = begins[earlier][pair] + number // width, begins[later][pair] + number % width
        parts.append((first, second, between[pair] + 1))
    first, second, distance = (np.concatenate([part[n] for part in parts]) for n in range(3))
    return first, second, distance
