"""Labels of training examples: the chosen item, and the items that the user chose next."""

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.prepare.examples import Examples, runs
from unified_ranker.tasks.encoded_state import Labels


def labels_of(examples: Examples, config: Config) -> Labels:
    """Return the labels of examples, NumPy columns `[examples]`."""
    objective = config.towers.user.objective
    targets, decay = next_targets(examples, objective.k, objective.decay)
    numbers = {name: number for number, name in enumerate(config.heads)}
    head = np.array([numbers[name] for name in examples.head], np.int64)
    retrieved = examples.retrieved.astype(np.float32)
    return Labels(examples.item, head, examples.weight, examples.value, retrieved, targets, decay)


def next_targets(examples: Examples, k: int, decay: float) -> tuple[Ints, Floats]:
    """Return the items of the user's next `k` examples of the same task, own first, and their weights.

    Both are `[examples, k]`; weights are exp(-rank / decay), and 0 with item -1 where there are fewer. The rank counts
    the user's examples between the two moments, so those of one second have one rank: they have no order. A second with
    more examples than there is room for ends the list. Examples that are anonymous, or have a query or a source item,
    have their own item only, because the choice for a later query does not answer this one; so have those that
    retrieval does not learn, which are nobody's next items. Later items are taken from the passed examples alone.
    """
    items = np.full((len(examples), k), MISSING, np.int64)
    weights = np.zeros((len(examples), k), np.float32)
    items[:, :1], weights[:, :1] = examples.item[:, None], 1.0
    task, _ = pd.factorize(examples.task)
    order = np.lexsort((examples.timestamp, task, examples.user))
    order = order[examples.retrieved[order] & (examples.user != MISSING)[order]]
    item, user, kind, time = (column[order] for column in (examples.item, examples.user, task, examples.timestamp))
    owner = runs(user, kind)
    moment = runs(owner, time)
    begins = np.append(np.flatnonzero(np.diff(moment, prepend=-1)), len(order))
    # Of each example, the first row of a later moment, and how many rows of its owner there are from there on.
    later = begins[moment + 1]
    left = np.searchsorted(owner, owner, side="right") - later
    alone = ((examples.query != "") | (examples.source_item != MISSING))[order]
    for rank in range(1, k):
        own = np.flatnonzero((left >= rank) & ~alone)
        row = later[own] + rank - 1
        begin, end = begins[moment[row]] - later[own], begins[moment[row] + 1] - later[own]
        own, row, begin = (column[end < k] for column in (own, row, begin))
        items[order[own], rank], weights[order[own], rank] = item[row], np.exp(-(begin + 1) / decay)
    return items, weights
