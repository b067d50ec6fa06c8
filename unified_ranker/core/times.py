"""Times: whole seconds since 1970 UTC."""

from datetime import UTC, datetime

import numpy as np

from unified_ranker.core.arrays import Ints

HOUR = 3_600
"""Seconds of an hour."""
DAY = 86_400
"""Seconds of a day."""
NEVER = int(np.iinfo(np.int64).min)
"""Creation time of an item that has none: it has always existed. NumPy's number for no time, NaT, is the same."""


def utc_text(time: int) -> str:
    """Return a time in seconds as text, such as `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(times: object) -> Ints:
    """Return datetimes `[n]` as whole seconds since 1970 UTC, rounded down; `NEVER` where absent."""
    stamps = np.asarray(times, dtype="datetime64[us]")
    return stamps.astype("datetime64[s]").astype(np.int64)
