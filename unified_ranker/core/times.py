"""Times: whole seconds since 1970 UTC."""

from datetime import UTC, datetime

import numpy as np

from unified_ranker.core.arrays import Ints

HOUR = 3_600
"""Seconds of an hour."""
DAY = 86_400
"""Seconds of a day."""
MICROSECONDS = 1_000_000
"""Microseconds of a second."""
NEVER = int(np.iinfo(np.int64).min)
"""Creation time of an item that has none: it has always existed. NumPy's number for no time, NaT, is the same."""


def utc_text(time: int) -> str:
    """Return a time in seconds as text, such as `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FUTURE_FROM = DAY
"""Seconds after the present from which a time lies in the future: clocks of several machines differ by less."""


CLOCK_SKEW = 60
"""Seconds by which a client's clock may be ahead: such an event counts at once, a later one from its time on."""


def time_fault(time: int, now: int) -> str:
    """Return the fault in the time of an event that is said to have happened, both in seconds; "" for none."""
    if time <= 0:
        return "it lies before 1970"
    if time > now + FUTURE_FROM:
        return f"it lies more than {FUTURE_FROM // HOUR} hours in the future; numbers are seconds, not milliseconds"
    return ""


OUTLIERS = 0.005
"""Largest share of a log's events at one end that can be outliers of time; two can be, of `_LEAST_TIMES`."""
_LEAST_TIMES = 20


def usual_span(times: Ints) -> tuple[int, int]:
    """Return the first and the last of times `[n]` in seconds, without outliers; (0, 0) of none.

    Outliers lie at an end, behind a gap that is longer than a day and than all of the others together: a filler date,
    or a year that is mistyped.
    """
    ordered = np.sort(times)
    if not len(ordered):
        return 0, 0
    begin, end, most = 0, len(ordered), max(int(OUTLIERS * len(ordered)), 2)
    gaps = np.diff(ordered)
    while len(ordered) >= _LEAST_TIMES:
        before = (begin, end)
        early = np.arange(begin, min(most, end - 1))
        late = np.arange(max(end - 1 - most, begin + 1), end - 1)
        begin = max([begin, *(early[gaps[early] > np.maximum(ordered[end - 1] - ordered[early + 1], DAY)] + 1)])
        end = min([end, *(late[gaps[late] > np.maximum(ordered[late] - ordered[begin], DAY)] + 1)])
        if (begin, end) == before:
            break
    return int(ordered[begin]), int(ordered[end - 1])


def seconds(times: object) -> Ints:
    """Return datetimes `[n]` as whole seconds since 1970 UTC, rounded down; `NEVER` where absent."""
    stamps = np.asarray(times, dtype="datetime64[us]")
    return stamps.astype("datetime64[s]").astype(np.int64)
