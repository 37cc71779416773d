"""What this machine has to spare."""

from __future__ import annotations

import math
import os
from pathlib import Path


def memory_available() -> float:
    """Bytes that could be taken without swapping; all of the machine's where only that is known, else infinity."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf
