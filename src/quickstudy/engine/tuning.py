"""Which way is fastest for this learner, these tasks and this machine: tried on a batch, and remembered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ..errors import QuickstudyError
from ..functional.precision import computed_in
from ..rng import Rng
from ..storage import cache_folder, write_atomically
from ..task import Task, batch_size, is_padded, take
from .backward import Backward
from .budget import LOOP, within
from .device import wait_for
from .flat import signature
from .plan import IMAGES_AT_ONCE, Plan, choose, convolves, obstacle

SHARE = 0.05  # of the time that a run will take may go into finding out how to run it
COMPILING = 60.0  # seconds that may be spent, for a compiler to be asked; it took 17 for a small net, 60 for Conv-4
LEAST = 1.0  # seconds to spend below which it is not worth beginning
REPEATS = 3


def tuned(learner: nn.Module, tasks: Task, steps: int, seconds: float | None = None, memory: int | None = None) -> Plan:
    """The fastest plan that could be found for a run of so many steps on batches like this one.

    A run that takes a minute goes by the fixed rule. A longer one spends at most a twentieth of its time on trying the
    ways that there are; what was found is kept in `cache_folder()`, so that the same run takes the same way again. The
    learner is left as it was.

    Args:
        learner: a `Learner` in training mode.
        tasks: a batch such as training will draw.
        steps: outer steps of the run.
        seconds: that the run may take, None for no limit.
        memory: bytes that the process is to keep within, None for no limit.

    Raises:
        UserError: not even one task fits into the memory.
    """
    kept = {name: t.clone() for name, t in learner.state_dict().items()}
    try:
        fits = _anything if memory is None else within(learner, tasks, memory)
        rule = choose(learner, tasks)
        if not fits(rule):
            rule = next(plan for plan in (LOOP, Plan("flat", 1, LOOP.reason)) if fits(plan))
        if learner.joint or obstacle(learner) or is_padded(tasks):
            return rule
        one, _ = _time(learner, tasks, rule)
        length = min(one * steps, seconds or float("inf"))
        if SHARE * length < LEAST:
            return rule
        key = _key(learner, tasks)
        known = _remembered().get(key)
        if known is not None and fits(Plan(**known)):
            return Plan(**known)
        ways = [plan for plan in candidates(learner, tasks, SHARE * length) if fits(plan)]
        found = _fastest(learner, tasks, rule, ways, one, time.perf_counter() + SHARE * length)
    finally:
        learner.load_state_dict(kept)
        learner.zero_grad()
        learner.plan = None  # type: ignore[assignment]
    if memory is None:
        _remember(key, found)
    return found


def _anything(_: Plan) -> bool:
    return True


def candidates(learner: nn.Module, tasks: Task, seconds: float = 0.0) -> list[Plan]:
    """Ways worth trying beside the rule's when there are so many seconds for it, the most promising first."""
    count, threads = batch_size(tasks), torch.get_num_threads()
    if convolves(learner):
        images = tasks.support.y.shape[1] + tasks.query.y.shape[1]
        chunk = _divisor(count, max(1, IMAGES_AT_ONCE // images))
        chunks = dict.fromkeys((chunk, _divisor(count, max(1, chunk // 2))))
    else:
        chunks = dict.fromkeys((_divisor(count, 64), _divisor(count, 16)))
    made = []
    for size in chunks:
        # Small chunks on one core each beat one chunk on all cores.
        shared = min(threads, count // size)
        made += [Plan("flat", size, "", workers) for workers in dict.fromkeys((shared, 1))]
    made.append(Plan("loop", 1, ""))
    # Fusing pays for dense layers; convolutions take nearly all of the time of a net that has them, fused or not.
    if seconds >= COMPILING and not convolves(learner) and shutil.which(os.environ.get("CXX", "g++")):
        made.append(Plan("compiled", made[0].chunk, ""))
    return made


def _divisor(count: int, most: int) -> int:
    """The largest size of chunk up to `most` that leaves no remainder."""
    return next(size for size in range(min(count, most), 0, -1) if count % size == 0)


def _fastest(learner: nn.Module, tasks: Task, rule: Plan, ways: Iterable[Plan], one: float, deadline: float) -> Plan:
    times = {rule: one}
    for plan in ways:
        if time.perf_counter() > deadline:
            break
        if plan.how != rule.how or plan.chunk != rule.chunk:
            try:
                spent, refused = _time(learner, tasks, plan)
            except RuntimeError:
                if plan.how != "compiled":
                    raise
                continue  # a compiler that fails is as good as none
            if refused:
                return dataclasses.replace(rule, reason=f"{rule.reason}; it cannot be traced, for {refused}")
            times[plan] = spent
    best = min(times, key=lambda plan: times[plan])
    others = ", ".join(f"{p.how} {p.chunk}x{p.workers} {1e3 * t:.3g} ms" for p, t in times.items() if p != best)
    return dataclasses.replace(best, reason=f"measured {1e3 * times[best]:.3g} ms a step ({others})")


def _time(learner: nn.Module, tasks: Task, plan: Plan) -> tuple[float, str]:
    """Seconds of a step, the best of some, on as many tasks as it takes; and why it was not traced, if it was not."""
    count = batch_size(tasks)
    some = take(tasks, slice(0, min(count, max(4, 2 * plan.chunk * plan.workers))))
    learner.plan = plan  # type: ignore[assignment]
    backward, best = Backward(learner, plan), float("inf")
    backward(some, Rng(0))  # the first one traces, and compiles
    for _ in range(REPEATS):
        began = time.perf_counter()
        backward(some, Rng(0))
        wait_for(some.support.y.device)
        best = min(best, time.perf_counter() - began)
        if best > LEAST:
            break
    return best * count / batch_size(some), backward.refused


def _key(learner: nn.Module, tasks: Task) -> str:
    machine = (platform.machine(), platform.processor())
    circumstances = (torch.__version__, torch.get_num_threads(), *machine, computed_in())
    layers = str(learner)
    return hashlib.sha256(repr((signature(learner, tasks), layers, circumstances)).encode()).hexdigest()[:24]


def _remembered() -> dict[str, Any]:
    try:
        found = json.loads((cache_folder() / "plans.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, plan: Plan) -> None:
    try:
        content = json.dumps(_remembered() | {key: dataclasses.asdict(plan)}, indent=1)
        write_atomically(cache_folder() / "plans.json", content.encode())
    except QuickstudyError:
        pass  # a cache that cannot be written costs a little time in the next run
