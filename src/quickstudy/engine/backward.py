"""One backward pass over a batch of tasks, in the way that a plan says."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..rng import Rng, forked
from ..task import Task, batch_size, is_padded, take
from .flat import Flat, NotTraceable, held_bytes, signature
from .plan import Plan

Done = tuple[Tensor, Tensor, list[tuple[nn.Parameter, Tensor]]]  # objectives, metrics, and what to add where
TRACES = 8  # kept of a learner; tasks of more shapes than that are not worth tracing


class Backward:
    """Add the gradient of the mean objective of a batch of tasks to a learner's parameters, a chunk at a time.

    Only one chunk's memory is alive, one for each worker where chunks are shared out to threads. The sum goes through
    the chunks in order, so the result does not depend on which was done first.

    Args:
        learner: a `Learner`.
        plan: how.
    """

    def __init__(self, learner: nn.Module, plan: Plan):
        self.learner, self.plan = learner, plan
        self.refused = ""
        self._traces: dict[Any, Flat] = {}
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None

    @property
    def held(self) -> int:
        """Bytes that the results of a traced chunk hold at most, as far as any was traced."""
        return max((held_bytes(flat.graph.graph) for flat in self._traces.values()), default=0)

    def __call__(self, tasks: Task, rng: Rng, first: int = 0, total: int | None = None) -> tuple[Tensor, Tensor]:
        """(T,) objectives and (T,) metrics, detached; of the chunks up to the first objective that is not finite.

        Args:
            tasks: a batch, or this process's share of one.
            rng: key of the batch.
            first: number of its first task in the whole batch.
            total: tasks of the whole batch, whose mean it is; those given when None.
        """
        count = batch_size(tasks)
        chunk = count if self.learner.joint else self.plan.chunk
        starts = range(0, count, chunk)
        chunks = [take(tasks, slice(start, start + chunk)) for start in starts]
        done: Iterable[Done] = self._untraced([first + start for start in starts], chunks, rng)
        if self.plan.traced and not self.refused and not is_padded(tasks):
            with contextlib.suppress(NotTraceable):
                done = self._traced([self.traced(part) for part in chunks], chunks)
        parts = []
        for objective, metric, slopes in done:
            parts.append((objective, metric))
            if not bool(torch.isfinite(objective).all()):
                break
            for parameter, slope in slopes:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)  # laid out in memory as the parameter is
                parameter.grad.add_(slope, alpha=1 / (total or count))
        objectives, metrics = zip(*parts, strict=True)
        return torch.cat(objectives), torch.cat(metrics)

    def _untraced(self, starts: Iterable[int], chunks: list[Task], rng: Rng) -> Iterator[Done]:
        parameters = [p for p in self.learner.parameters() if p.requires_grad]
        for start, part in zip(starts, chunks, strict=True):
            key = rng.at(start)
            # Dropout reads the global generator; where the engine does not map over tasks it is keyed here.
            with forked(key) if self.learner.joint else contextlib.nullcontext():
                loss = self.learner.loss(part, rng=key)  # type: ignore[operator]
            found: Iterable[Tensor | None] = ()
            if loss.objective.requires_grad:
                found = torch.autograd.grad(loss.objective.sum(), parameters, allow_unused=True)
            slopes = [(p, slope) for p, slope in zip(parameters, found, strict=False) if slope is not None]
            yield loss.objective.detach(), loss.metric, slopes

    def _traced(self, steps: list[Flat], chunks: list[Task]) -> Iterable[Done]:
        if self.plan.workers == 1 or len(chunks) == 1:
            return (step(part) for step, part in zip(steps, chunks, strict=True))
        return self._shared_out(steps, chunks)

    def _shared_out(self, steps: list[Flat], chunks: list[Task]) -> Iterator[Done]:
        """By threads that compute on one core each: for chunks this small, better than one that computes on all."""
        threads = torch.get_num_threads()
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(
                self.plan.workers, "quickstudy", lambda: torch.set_num_threads(1)
            )
        try:
            torch.set_num_threads(1)
            yield from self._pool.map(lambda step, part: step(part), steps, chunks)
        finally:
            torch.set_num_threads(threads)

    def traced(self, tasks: Task) -> Flat:
        """The traced step for tasks of these shapes.

        Raises:
            NotTraceable: there is none; the reason is kept in `refused`.
        """
        key = signature(self.learner, tasks)
        if key not in self._traces:
            try:
                if len(self._traces) == TRACES:
                    raise NotTraceable(f"its tasks have more than {TRACES} shapes")
                self._traces[key] = Flat(self.learner, tasks, compiled=self.plan.how == "compiled")
            except NotTraceable as error:
                self.refused = str(error)
                raise
        return self._traces[key]
