"""The allocator: memory that is freed and asked for again at every step should not go back to the system between."""

from __future__ import annotations

import contextlib
import ctypes
import sys

M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1


def keep_freed_memory() -> bool:
    """Ask glibc to keep freed memory for the next step; whether it agreed.

    Page faults on memory that was just given back cost up to half the time of large activations on a CPU. It changes
    the whole process, so programs call it, the library never does; elsewhere than on Linux with glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1))


def give_back_freed_memory() -> None:
    """Give what is free back to the system, where it can be done (Linux with glibc)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
