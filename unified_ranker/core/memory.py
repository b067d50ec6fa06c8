"""Memory that the C library keeps after it was freed: kept small in processes that load much and serve for weeks.

By itself glibc makes eight heaps a core for threads, and keeps in each what was freed below something that still lives.
"""

import ctypes
import functools
import platform

_M_ARENA_MAX, _HEAPS = -8, 2


def use_few_heaps() -> None:
    """Have threads share two heaps. Before there are threads; a C library other than glibc has no such thing."""
    if (library := _glibc()) is not None:
        library.mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Return freed memory to the system: after something large was loaded or dropped (some milliseconds a gigabyte)."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
