"""Tables of the tasks' declared settings, by index of the task; row 0 is the unknown task."""

import numpy as np

from unified_ranker.config import Config
from unified_ranker.tasks.head_groups import kind_by_head


def quality_weights(config: Config) -> np.ndarray:
    """Return the declared quality weights, `[tasks + 1, features]`; row 0, the unknown task, has none."""
    names = list(config.towers.item.quality)
    rows = [[task.quality_weights.get(name, 0.0) for name in names] for task in config.tasks.values()]
    return np.array([[0.0] * len(names), *rows], np.float32).reshape(len(rows) + 1, len(names))


def proposing_signals(config: Config) -> np.ndarray:
    """Return whether a signal proposes candidates for a task, `[tasks + 1, signals]`; all do for the unknown task."""
    kinds = [signal.type for signal in config.towers.ranker.signals]
    declared = [task.serving.sources for task in config.tasks.values()]
    rows = [[names is None or kind in names for kind in kinds] for names in declared]
    return np.array([[True] * len(kinds), *rows], bool).reshape(len(rows) + 1, len(kinds))


def score_weights(config: Config) -> np.ndarray:
    """Return the weight of each head in a task's score, `[tasks + 1, heads]`; by default its own heads, equally.

    A head that does not rank has no weight.
    """
    ranks = {name: kind.ranks for name, kind in kind_by_head(config).items()}
    rows = [[float(ranks[head]) for head in config.heads]]
    for task in config.tasks.values():
        declared = task.score or {head: float(ranks[head]) for head in task.heads}
        rows.append([declared.get(head, 0.0) for head in config.heads])
    return np.array(rows, np.float32)
