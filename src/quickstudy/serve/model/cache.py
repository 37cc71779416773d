"""States in memory, those that were used last, up to a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from .packing import Learned


class Cache:
    """The states of the tasks that were used last.

    Args:
        ceiling: bytes of all of them together; one that is larger is not kept.

    >>> from quickstudy.state import Envelope
    >>> import torch
    >>> cache = Cache(ceiling=5_000)
    >>> for name in "abc":
    ...     cache.put(name, Learned(torch.zeros(8), Envelope("hash"), version=1))
    >>> [cache.get(name, 1) is not None for name in "abc"]
    [False, True, True]
    """

    def __init__(self, ceiling: int):
        self.ceiling, self.bytes = ceiling, 0
        self._kept: OrderedDict[str, Learned] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, task: str, version: int) -> Learned | None:
        """The state of that version of a task, if it is here."""
        with self._lock:
            found = self._kept.get(task)
            if found is None or found.version != version:
                return None
            self._kept.move_to_end(task)
            return found

    def put(self, task: str, learned: Learned) -> None:
        """Keep a state, in the place of an older one of its task."""
        with self._lock:
            old = self._kept.pop(task, None)
            if old is not None and old.version > learned.version:
                learned = old
            self.bytes += learned.size - (0 if old is None else old.size)
            self._kept[task] = learned
            while self.bytes > self.ceiling:
                _, dropped = self._kept.popitem(last=False)
                self.bytes -= dropped.size
