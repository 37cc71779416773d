"""What this machine has to spare."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path


def memory_available() -> float:
    """Bytes that could be taken without swapping; all of the machine's where only that is known, else infinity."""
    available = _said_by_linux("meminfo", "MemAvailable:")
    if not math.isnan(available):
        return available
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def memory_now() -> float:
    """Bytes that this process holds; NaN where the system does not say."""
    return _said_by_linux("self/status", "VmRSS:")


def memory_peak() -> float:
    """The most bytes that this process has held at one time, or since it was forgotten; NaN where that is not known."""
    peak = _said_by_linux("self/status", "VmHWM:")
    if not math.isnan(peak):
        return peak
    try:
        import resource
    except ImportError:
        return math.nan
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else 1024 * most)


def forget_memory_peak() -> None:
    """Begin anew with `memory_peak`, where the system lets us (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _said_by_linux(file: str, name: str) -> float:
    """Bytes, from a file that gives kilobytes by name; NaN where there is no such line."""
    try:
        for line in Path("/proc", file).read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return 1024.0 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return math.nan
