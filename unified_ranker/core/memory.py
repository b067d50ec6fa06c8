"""Freed memory that the C library does not return to the system: kept small in processes that serve for weeks.

By default glibc makes up to eight heaps per core for threads. Each keeps freed memory that lies below a block in use.
"""

import ctypes
import functools
import platform

_M_ARENA_MAX, _HEAPS = -8, 2


def use_few_heaps() -> None:
    """Let all threads share two heaps. Call it before threads start; only glibc has the setting."""
    if (library := _glibc()) is not None:
        library.mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Return freed memory to the system, after a large object was loaded or dropped (milliseconds per gigabyte)."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
