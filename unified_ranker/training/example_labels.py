"""Labels of training examples: the chosen item, and the items that the user chose next."""

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.prepare.examples import Examples
from unified_ranker.tasks.encoded_state import Labels


def labels_of(examples: Examples, config: Config) -> Labels:
    """Return the labels of examples, NumPy columns `[examples]`."""
    objective = config.towers.user.objective
    targets, decay = next_targets(examples, objective.k, objective.decay)
    numbers = {name: number for number, name in enumerate(config.heads)}
    head = np.array([numbers[name] for name in examples.head], np.int64)
    return Labels(examples.item, head, examples.weight, examples.value, targets, decay)


def next_targets(examples: Examples, k: int, decay: float) -> tuple[Ints, Floats]:
    """Return the items of the user's next `k` examples of the same task, own first, and their weights.

    Both are `[examples, k]`; weights are exp(-rank / decay), and 0 with item -1 where there are fewer. Examples that
    are anonymous, or have a query or a source item, have their own item only, because the choice for a later query
    does not answer this one. Later items are taken from the passed examples alone.
    """
    items = np.full((len(examples), k), MISSING, np.int64)
    weights = np.zeros((len(examples), k), np.float32)
    task, _ = pd.factorize(examples.task)
    # A stable sort: examples of one user and task stay in order of time.
    order = np.lexsort((task, examples.user))
    user, kind, item = examples.user[order], task[order], examples.item[order]
    alone = (user == MISSING) | (examples.query != "")[order] | (examples.source_item != MISSING)[order]
    for rank in range(min(k, len(order))):
        stop = len(order) - rank
        same = (user[:stop] == user[rank:]) & (kind[:stop] == kind[rank:])
        if rank:
            same &= ~alone[:stop]
        items[order[:stop][same], rank] = item[rank:][same]
        weights[order[:stop][same], rank] = np.exp(-rank / decay)
    return items, weights
