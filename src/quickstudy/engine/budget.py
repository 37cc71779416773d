"""A limit on memory: which ways of running tasks stay within it, found by running one task and looking."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from torch import nn

from ..errors import UserError
from ..machine import forget_memory_peak, memory_now, memory_peak
from ..rng import Rng
from ..task import Task, batch_size, take
from .backward import Backward
from .memory import give_back_freed_memory
from .plan import Plan

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SLACK = 1.3  # on what tasks hold: gaps between freed pieces, and what convolutions use while they run
TRACER = 75e6  # bytes that torch's tracer takes as soon as it is loaded, and never gives back
LOOP = Plan("loop", 1, "it keeps within the memory")

Fits = Callable[[Plan], bool]


def in_bytes(memory: str | int) -> int:
    """'2GiB', '500 MB' or a number of bytes, as a number of bytes.

    Raises:
        UserError: it is no such thing.

    >>> in_bytes("1.5 GiB"), in_bytes(1000)
    (1610612736, 1000)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*", str(memory))
    try:
        size = float(found[1]) * UNITS[found[2].upper()] if found else math.nan
    except (KeyError, ValueError):
        size = math.nan
    if not size >= 1:
        raise UserError(f"memory is '{memory}'; write it like 2GiB, 500MB, or as a number of bytes.")
    return int(size)


def within(learner: nn.Module, tasks: Task, memory: int) -> Fits:
    """Which plans keep this process within so many bytes, the learner checkpointing its inner steps if it has to.

    The gradient is exact either way. One task is run to see what it takes, traced and untraced; all tasks of a step
    for learners that embed them together. A plan that runs more at once needs what each of them holds.

    Raises:
        UserError: not even one task fits; the message says what would.
    """
    if tasks.support.y.device.type != "cpu":
        raise UserError("A limit on memory is kept on a CPU only; leave it out, or take fewer tasks a step.")
    give_back_freed_memory()
    before = memory_now()
    if math.isnan(before):
        raise UserError("A limit on memory needs a system that says how much a process holds (Linux); leave it out.")
    untraced, _ = _peak(learner, tasks, LOOP)
    traced, each = math.inf, 0.0
    if not learner.joint and not untraced <= memory < untraced + TRACER:  # else it alone would be too much
        traced, each = _peak(learner, tasks, Plan("flat", 1, ""))
    if min(traced, untraced) > memory:
        unrolled = [
            m for m in learner.modules() if getattr(m, "gradient", "") == "exact" and getattr(m, "steps", 1) > 1
        ]
        if unrolled:
            _set_gradient(unrolled, "checkpointed")
            kept, _ = _peak(learner, tasks, LOOP)
            if kept <= memory:
                return lambda plan: plan.how == "loop"
            _set_gradient(unrolled, "exact")
        _refuse(learner, tasks, memory, before, min(traced, untraced))
    each = SLACK * (each or untraced - before)
    return lambda plan: (traced if plan.traced else untraced) + (plan.chunk * plan.workers - 1) * each <= memory


def _set_gradient(modules: Iterable[nn.Module], name: str) -> None:
    for module in modules:
        module.gradient = name  # type: ignore[assignment]


def _peak(learner: nn.Module, tasks: Task, plan: Plan) -> tuple[float, float]:
    """The most that the process holds while a piece of a step is run, and what its results hold if it was traced."""
    learner.plan = plan  # type: ignore[assignment]
    piece = tasks if learner.joint else take(tasks, slice(0, 1))
    give_back_freed_memory()
    forget_memory_peak()
    backward = Backward(learner, plan)
    backward(piece, Rng(0))
    learner.zero_grad()
    return (math.inf if backward.refused else memory_peak()), float(backward.held)


def _refuse(learner: nn.Module, tasks: Task, memory: int, before: float, one: float) -> None:
    mega, count = 1 / 1e6, batch_size(tasks)
    told = f"memory is {memory * mega:,.0f} MB, and the process holds {before * mega:,.0f} MB before it trains."
    if learner.joint and count > 1:
        fit = math.floor(count * (memory - before) / (one - before))
        remedy = f"about {fit} tasks a step would fit" if fit > 0 else "not one task a step would fit"
        raise UserError(f"{told} The {count} tasks of a step take {(one - before) * mega:,.0f} MB more; {remedy}.")
    raise UserError(
        f"{told} One task takes {(one - before) * mega:,.0f} MB more, however it is run; give at least"
        f" {math.ceil(one * mega * 1.05):,} MB, or tasks with fewer examples, fewer inner steps or a smaller net."
    )
