"""How often one client may ask."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

CLIENTS = 10_000  # that are remembered, the last ones


class Rate:
    """A bucket of tokens for each client, which fills at a rate and holds two seconds of it.

    Args:
        rate: requests a second; None for no limit.
        local_rate: the same for clients on this machine.
        clock: seconds.

    >>> now = iter([0.0, 0.0, 0.0, 0.5])
    >>> rate = Rate(1.0, None, clock=lambda: next(now))
    >>> [round(rate.wait("10.0.0.1"), 1) for _ in range(4)]
    [0.0, 0.0, 1.0, 0.5]
    """

    def __init__(self, rate: float | None, local_rate: float | None, clock: Callable[[], float] = time.monotonic):
        self.rate, self.local_rate, self.clock = rate, local_rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Seconds until this client may ask; 0 when it may now, and then this counts as having asked."""
        rate = self.local_rate if _is_local(client) else self.rate
        if rate is None:
            return 0.0
        now = self.clock()
        left, then = self._buckets.pop(client, (2 * rate, now))
        left = min(2 * rate, left + (now - then) * rate)
        allowed = left >= 1
        self._buckets[client] = (left - 1 if allowed else left, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / rate


def _is_local(client: str) -> bool:
    try:
        return ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False
