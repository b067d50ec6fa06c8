"""Freshness of an item: exp(-age / scale), exact as of any moment, also from a vector that was stored before it.

The exponential separates. With an origin T, exp(-(t - created) / scale) = exp(-(t - T) / scale) · exp((created - T) /
scale): the second factor is stored with the item, the first goes into the query vector, and their product is the
freshness at t (docs/decisions/0003-freshness.md). All times are in seconds and broadcast against each other.
"""

from unified_ranker.core.array_module import NUMPY, Array, ArrayModule
from unified_ranker.core.times import NEVER

MAX_EXPONENT = 60.0
"""Bound of an age in scales, so that float32 neither overflows nor becomes subnormal."""
MAX_GROWTH = 20.0
"""Bound of how many scales a stored item is younger than the origin: an index over vectors squares what it stores."""


def freshness(created_at: Array, time: Array, scale: float, arrays: ArrayModule = NUMPY) -> Array:
    """Return exp(-age / scale) at `time`, in [0, 1]; 0 where `created_at` is `NEVER`.

    An item created after `time` counts as just created: it is no candidate then, and must not overflow.
    """
    return _dated(created_at, time, scale, 0.0, arrays)


def stored_factor(created_at: Array, origin: Array, scale: float, arrays: ArrayModule = NUMPY) -> Array:
    """Return exp((created - origin) / scale), what an item's vector holds; 0 where `created_at` is `NEVER`."""
    return _dated(created_at, origin, scale, MAX_GROWTH, arrays)


def query_factor(time: Array, origin: Array, scale: float, arrays: ArrayModule = NUMPY) -> Array:
    """Return exp(-(time - origin) / scale), what a request's query vector holds."""
    return _decayed(time - origin, scale, MAX_EXPONENT, arrays)


def _dated(created_at: Array, time: Array, scale: float, growth: float, arrays: ArrayModule) -> Array:
    # Subtracted as whole numbers: seconds since 1970 are too many for float32.
    decayed = _decayed(time - created_at, scale, growth, arrays)
    return arrays.where(created_at == NEVER, 0.0, decayed)


def _decayed(age: Array, scale: float, growth: float, arrays: ArrayModule) -> Array:
    """Return exp(-age / scale), bounded above by exp(`growth`)."""
    return arrays.exp(-arrays.clip(arrays.fractions(age) / scale, -growth, MAX_EXPONENT))
