"""Array modules: functions that let one rule run on NumPy arrays and on TensorFlow tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A NumPy array or a tensor. Operators work on both, so a rule that needs only operators takes no module."""


@dataclass(frozen=True)
class ArrayModule:
    """Functions of one library of arrays.

    Attributes:
        fractions: turns whole numbers into fractions: float64 in NumPy, float32 in TensorFlow.
        exp: e to the power of each.
        clip: bounds values by a lowest and a highest.
        where: picks from two arrays by a mask.
    """

    fractions: Callable[[Array], Array]
    exp: Callable[[Array], Array]
    clip: Callable[[Array, float, float], Array]
    where: Callable[[Array, Array, Array], Array]


NUMPY = ArrayModule(lambda whole: np.asarray(whole, np.float64), np.exp, np.clip, np.where)
