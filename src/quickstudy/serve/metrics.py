"""What a service has done, as Prometheus reads it; each worker process counts for itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..machine import memory_now

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one process.

    Attributes:
        batch: how many requests were answered together.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("path", "method", "status", "worker")
        self._requests = Counter("quickstudy_requests", "Requests.", labels, registry=self.registry)
        self._seconds = Histogram(
            "quickstudy_request_seconds", "Time to answer.", ("path", "worker"), buckets=SECONDS, registry=self.registry
        )
        worker = str(os.getpid())
        self.batch = Histogram(
            "quickstudy_together", "Requests answered together.", ("worker",), buckets=SIZES, registry=self.registry
        ).labels(worker)
        self._worker = worker
        self.watch("quickstudy_resident_bytes", "Memory of the process.", memory_now)

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """A number that is read when it is asked for."""
        Gauge(name, about, ("worker",), registry=self.registry).labels(self._worker).set_function(read)

    def request(self, scope: Any, status: int, seconds: float) -> None:
        """Count a request, by its route: paths with ids in them would be a series for each task."""
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._requests.labels(route, method, str(status), self._worker).inc()
        self._seconds.labels(route, self._worker).observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' format."""
        return generate_latest(self.registry)
