"""Shapes of times in text: the formats that a text of digits, letters and signs may have."""

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa

ISO = "ISO8601"
"""Format of every ISO 8601 time, as pandas calls it."""
_ZONE_WORD = re.compile(r" ?(a|a{3})$")
"""`Z`, `UTC` or `GMT` at the end, which is no part of a format; two letters are those of half a day."""
_ISO = re.compile(r"9{4}-99-99([ a]99(:99(:99(\.9{1,9})?)?)?( ?[+-]99(:?99)?)?)?")
_WHOLE = {
    r"a{3} a{3} +9{1,2} 99:99:99 [+-]9{4} 9{4}": "%a %b %d %H:%M:%S %z %Y",
    r"a{3} a{3} +9{1,2} 99:99:99 9{4}": "%a %b %d %H:%M:%S %Y",
    r"9{1,2}/a{3}/9{4}:99:99:99 [+-]9{4}": "%d/%b/%Y:%H:%M:%S %z",
}
"""Formats with the time inside of the date: those of Twitter, C's `ctime` and Apache's logs."""
_YEAR_FIRST = re.compile(r"9{4}([-/.])9{1,2}\1(9{1,2})(?!9)")
_YEAR_LAST = re.compile(r"9{1,2}([-/.])9{1,2}\1(9{4}|99)(?!9)")
_DAY_MONTH_NAME = re.compile(r"(a{3}, )?9{1,2}([ /.-])(a{3,9})\2(9{4}|99)(?!9)")
_MONTH_NAME_DAY = re.compile(r"(a{3,9}) 9{1,2}(,?) 9{4}(?!9)")
_CLOCK = re.compile(r"(?P<gap>,? +|a|:)9{1,2}:99(?P<s>:99(?P<f>[.,]9{1,9})?)?(?P<half> ?aa)?(?P<zone>( ?)[+-]99:?99)?")
_FIRST_TWO = re.compile(r"\s*(\d{1,2})[-/.](\d{1,2})[-/.]\d")


def _letters() -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    table[ord("0") : ord("9") + 1] = ord("9")
    table[ord("A") : ord("Z") + 1] = ord("a")
    table[ord("a") : ord("z") + 1] = ord("a")
    return table


_SHAPE = _letters()


def shapes_of(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return text with `9` in the place of every digit and `a` in the place of every letter, `[rows]`."""
    valid, offsets, data = text.buffers()
    if data is None:
        return text
    changed = pa.py_buffer(_SHAPE[np.frombuffer(data, np.uint8)])
    return pa.LargeStringArray.from_buffers(len(text), offsets, changed, valid, text.null_count, text.offset)


@lru_cache(maxsize=4096)
def formats_of(shape: str) -> tuple[str, ...]:
    """Return the formats (of Python's strptime) that a text of this shape may have: none, one, or day and month first.

    Args:
        shape: as of `shapes_of`, without blanks around it.
    """
    if _ISO.fullmatch(shape) or _ISO.fullmatch(_ZONE_WORD.sub("", shape)):
        return (ISO,)
    for pattern, whole in _WHOLE.items():
        if re.fullmatch(pattern, shape) or re.fullmatch(pattern, re.sub(r" a{3}(?= 9{4}$)", "", shape)):
            return (whole,)
    dates, rest = _dates(shape)
    clock = _clock(rest)
    if clock is None and _ZONE_WORD.search(rest):
        clock = _clock(_ZONE_WORD.sub("", rest))
    return () if clock is None else tuple(date + clock for date in dates)


def _dates(shape: str) -> tuple[list[str], str]:
    """Return the formats of the date that a shape begins with, and the rest of the shape."""
    found = _YEAR_FIRST.match(shape)
    if found:
        return ["%Y{0}%m{0}%d".format(found[1])], shape[found.end() :]
    found = _YEAR_LAST.match(shape)
    if found:
        year = "%Y" if len(found[2]) == 4 else "%y"
        return [f"%d{found[1]}%m{found[1]}{year}", f"%m{found[1]}%d{found[1]}{year}"], shape[found.end() :]
    found = _DAY_MONTH_NAME.match(shape)
    if found:
        year, sign = "%Y" if len(found[4]) == 4 else "%y", found[2]
        return [f"{'%a, ' if found[1] else ''}%d{sign}{_month(found[3])}{sign}{year}"], shape[found.end() :]
    found = _MONTH_NAME_DAY.match(shape)
    if found:
        return [f"{_month(found[1])} %d{found[2]} %Y"], shape[found.end() :]
    return [], shape


def _month(letters: str) -> str:
    return "%b" if len(letters) == 3 else "%B"


def _clock(rest: str) -> str | None:
    """Return the format of the time of day that follows a date; None: it has none."""
    if not rest:
        return ""
    found = _CLOCK.fullmatch(rest)
    if found is None:
        return None
    half = found["half"]
    hours = "%I" if half else "%H"
    fraction = "" if found["f"] is None else f"{found['f'][0]}%f"
    parts = [found["gap"].replace("a", "T"), hours, ":%M", ":%S" if found["s"] else "", fraction]
    parts += [
        half.replace("aa", "%p") if half else "",
        found["zone"][: -len(found["zone"].lstrip())] if found["zone"] else "",
    ]
    return "".join(parts) + ("%z" if found["zone"] else "")


def day_and_month(text: str) -> tuple[int, int] | None:
    """Return the first two numbers of a date that ends with its year; None for other text."""
    found = _FIRST_TWO.match(text)
    return None if found is None else (int(found[1]), int(found[2]))


def is_day_first(form: str) -> bool:
    """Tell whether a format has the day before the month, as numbers."""
    return re.match(r"%d[-/.]%m", form) is not None


def is_month_first(form: str) -> bool:
    """Tell whether a format begins with the month as a number."""
    return form.startswith("%m")
