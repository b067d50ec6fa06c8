"""Memory of a process that serves for weeks: passes of the garbage collector, and freed memory that is given back.

A full pass of Python's collector walks through every object that may be part of a cycle, while no other thread runs.
With a release and TensorFlow loaded that took 100 to 210 ms, every 20 seconds at 40 requests/s.

By default glibc makes up to eight heaps per core for threads. Each keeps freed memory that lies below a block in use.
"""

import ctypes
import functools
import gc
import platform

_M_ARENA_MAX, _HEAPS = -8, 2
_THRESHOLDS = (20_000, 20, 50)
"""New objects until a pass over the youngest, and passes until older ones are part of it. Requests leave few cycles."""


def prepare_memory() -> None:
    """Let threads share two heaps, and collect garbage seldom. Call it before threads start."""
    gc.set_threshold(*_THRESHOLDS)
    if (library := _glibc()) is not None:
        library.mallopt(_M_ARENA_MAX, _HEAPS)


def keep_loaded() -> None:
    """Leave all present objects out of later passes of the garbage collector, once a release or a model is loaded.

    They are freed with their last reference, but cycles among them never. Garbage is collected before, and freed memory
    is given back.
    """
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Return freed memory to the system, after a large object was loaded or dropped (milliseconds per gigabyte)."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library where it is glibc, which alone has these settings."""
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
