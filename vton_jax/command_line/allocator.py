"""Freed memory, which glibc keeps or gives back.

Kept, for trainings on a CPU: XLA asks the C library for the memory of every program that it runs, and gives it back at
the end. glibc returns blocks of that size to the system at once, which then clears each page anew for the next step
(`benchmarks/kept_memory.py`). A try-on does not gain.

Given back, once a clip is read, whose frames lie in heaps, and by servers that work on for days: smaller blocks stay
with glibc in pieces, more after every job, most of all in the heaps that it makes for threads. So servers have one heap
for all. Who starts anew every time has not: LLVM's threads would wait for each other, 19 in place of 15 s to a first
frame.
"""

import contextlib
import ctypes
import os
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_PAD = 1 << 26  # bytes: how much more than is asked for the heap grows by
_NEVER = -1  # bytes; a step of a large batch frees more than an int can say


def keep_freed_memory() -> bool:
    """Asks glibc to keep what is freed, in one heap, for this process; to be called before there are threads.

    Whoever sets MALLOC_* or GLIBC_TUNABLES is not overruled. Returns whether it was done; elsewhere nothing changes.
    """
    return _ask({_ARENA_MAX: 1, _MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _PAD})


def share_one_heap() -> bool:
    """Asks glibc for one heap for all threads of this process; as `keep_freed_memory` otherwise."""
    return _ask({_ARENA_MAX: 1})


def _ask(options: dict[int, int]) -> bool:
    told = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    if sys.platform != "linux" or told:
        return False
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(option, value) for option, value in options.items())
    return False


def give_back_freed_memory() -> bool:
    """Asks glibc to give what is freed back to the system, which takes it some milliseconds. Returns whether it did;
    elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        return sys.platform == "linux" and bool(ctypes.CDLL(None).malloc_trim(0))
    return False
