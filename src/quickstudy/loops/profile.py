"""Where the time and the memory of meta-training went, in words."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch

from ..engine.backward import Backward
from ..learner import Learner, criterion
from ..machine import memory_peak
from ..task import Task, batch_size, take

SAMPLING, STEP, OPTIMIZER = "drawing tasks", "adapting, answering and the gradient through both", "the optimizer"
WAITING, VALIDATION, SAVING = "waiting for the other processes", "validation", "saving checkpoints"
PARTS = ("adapting (inner loop)", "answering the queries", "outer backward pass")


class Profile:
    """Seconds by what they were spent on; hand one to `meta_train`, and read it afterwards.

    >>> profile = Profile()
    >>> with profile.of("drawing tasks"):
    ...     pass
    >>> list(profile.seconds)
    ['drawing tasks']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.parts: tuple[float, ...] = ()
        self.memory: dict[str, float] = {}

    @contextlib.contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """Count what is done inside to a phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - began

    def look_inside(self, learner: Learner, tasks: Task, backward: Backward | None) -> None:
        """Time the parts of one step on a few tasks, untraced, one after another; and what memory holds what."""
        if not learner.joint:
            self.parts = _parts(learner, take(tasks, slice(0, min(4, batch_size(tasks)))))
        self.memory = {"weights": float(sum(p.numel() * p.element_size() for p in learner.parameters()))}
        if backward is not None and backward.held:
            self.memory[f"a chunk of {backward.plan.chunk} tasks"] = float(backward.held)
        self.memory["the whole process, at most"] = memory_peak()

    def __str__(self) -> str:
        total = sum(self.seconds.values()) or 1.0
        lines = [f"{total:.1f} s went into:"]
        for phase, spent in sorted(self.seconds.items(), key=lambda item: -item[1]):
            lines.append(f"  {100 * spent / total:5.1f} %  {phase} ({spent:.2f} s)")
            if phase == STEP and self.parts:
                whole = sum(self.parts)
                lines += [
                    f"           {100 * part / whole:3.0f} % of it {name}"
                    for name, part in zip(PARTS, self.parts, strict=True)
                ]
        lines += ["memory:"] if self.memory else []
        lines += [f"  {size / 1e6:8.1f} MB  {what}" for what, size in self.memory.items()]
        return "\n".join(lines)


def _parts(learner: Learner, tasks: Task) -> tuple[float, ...]:
    """Seconds of adapting, of answering and of the outer backward pass."""
    parameters = [p for p in learner.parameters() if p.requires_grad]
    found = [0.0, 0.0, 0.0]
    learner.train()
    for i in range(batch_size(tasks)):
        task, clock = take(tasks, i), [time.perf_counter()]
        state = learner.adapt(task.support, task.description)
        clock.append(time.perf_counter())
        loss = criterion(learner.predict(state, task.query.x), task.query)
        clock.append(time.perf_counter())
        if loss.requires_grad:
            torch.autograd.grad(loss, parameters, allow_unused=True)
        clock.append(time.perf_counter())
        for part in range(3):
            found[part] += clock[part + 1] - clock[part]
    return tuple(found)
