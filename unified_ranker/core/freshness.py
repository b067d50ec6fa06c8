"""Freshness of an item: exp(-age / scale), exact at any later moment from a vector that was stored before.

The exponential is a product: with an origin T, exp(-(t - created) / scale) = exp(-(t - T) / scale) ·
exp((created - T) / scale). The item vector holds the second factor, the query vector the first, and their product is
the freshness at t (docs/decisions/0003-freshness.md). All times are in seconds and broadcast against each other.
"""

from unified_ranker.core.array_module import NUMPY, Array, ArrayModule
from unified_ranker.core.times import NEVER

MAX_EXPONENT = 60.0
"""Bound of an age in scales, so that the exponential neither overflows nor becomes subnormal in float32."""
MAX_GROWTH = 20.0
"""Bound, in scales, of how much younger than the origin a stored item may be: an index squares the stored values."""


def freshness(created_at: Array, time: Array, scale: float, arrays: ArrayModule = NUMPY) -> Array:
    """Return exp(-age / scale) at `time`, in [0, 1]; 0 where `created_at` is `NEVER`.

    An item created after `time` counts as just created. It is no candidate, but its value must not overflow.
    """
    return _dated(created_at, time, scale, 0.0, arrays)


def stored_factor(created_at: Array, origin: Array, scale: float, arrays: ArrayModule = NUMPY) -> Array:
    """Return exp((created - origin) / scale), the factor in an item's vector; 0 where `created_at` is `NEVER`."""
    return _dated(created_at, origin, scale, MAX_GROWTH, arrays)


def query_factor(time: Array, origin: Array, scale: float, arrays: ArrayModule = NUMPY) -> Array:
    """Return exp(-(time - origin) / scale), the factor in a query vector."""
    return _decayed(time - origin, scale, MAX_EXPONENT, arrays)


def _dated(created_at: Array, time: Array, scale: float, growth: float, arrays: ArrayModule) -> Array:
    # Subtracted as whole numbers, because float32 cannot hold seconds since 1970 exactly.
    decayed = _decayed(time - created_at, scale, growth, arrays)
    return arrays.where(created_at == NEVER, 0.0, decayed)


def _decayed(age: Array, scale: float, growth: float, arrays: ArrayModule) -> Array:
    """Return exp(-age / scale), bounded above by exp(`growth`)."""
    return arrays.exp(-arrays.clip(arrays.fractions(age) / scale, -growth, MAX_EXPONENT))
