"""Base of signals that keep tables in the graph."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

import numpy as np

from unified_ranker.signals.base import Signal
from unified_ranker.towers.tensorflow import tf


class TableSignal(Signal, ABC):
    """Signal whose tables are variables, so that the graphs of all signatures share one copy."""

    def __init__(self) -> None:
        self._tables: list[tf.Variable] = []

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """See `Signal.variables`."""
        return self._tables

    def table(self, name: str, value: np.ndarray) -> tf.Variable:
        """Store an array as a table of the graph."""
        self._tables.append(tf.Variable(value, trainable=False, name=name))
        return self._tables[-1]
