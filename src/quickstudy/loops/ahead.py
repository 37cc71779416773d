"""Draw the next batch of tasks while the one before is learned from."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable

from ..task import Task

SHARE = 0.05  # of the time of a step, from which on drawing is worth a thread of its own
LOOKS = 3  # steps to look at before it is decided


class Ahead:
    """Batches by number of step, drawn in another thread where drawing takes long.

    An episode depends on its number alone, so nothing but the time depends on who draws it.

    Args:
        draw: number of a step -> batch.
    """

    def __init__(self, draw: Callable[[int], Task]):
        self._draw = draw
        self._began = time.perf_counter()
        self._drawing = 0.0
        self._looks = 0
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._next: tuple[int, concurrent.futures.Future[Task]] | None = None

    @property
    def threaded(self) -> bool:
        """Whether the next batch is drawn while this one is learned from."""
        return self._pool is not None

    def __call__(self, step: int) -> Task:
        """The batch of a step."""
        if self._pool is None:
            self._decide()
        if self._pool is None:
            began = time.perf_counter()
            batch = self._draw(step)
            self._drawing += time.perf_counter() - began
            return batch
        expected, self._next = self._next, None
        batch = expected[1].result() if expected is not None and expected[0] == step else self._draw(step)
        self._next = step + 1, self._pool.submit(self._draw, step + 1)
        return batch

    def _decide(self) -> None:
        """After some steps, the first of which may have loaded or made what the others find there."""
        self._looks += 1
        if self._looks == 2:
            self._began, self._drawing = time.perf_counter(), 0.0
        elif self._looks == LOOKS + 2 and self._drawing > SHARE * (time.perf_counter() - self._began):
            self._pool = concurrent.futures.ThreadPoolExecutor(1, "quickstudy-draws")

    def close(self) -> None:
        """Let the thread go; a batch that is being drawn is finished, and forgotten."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
