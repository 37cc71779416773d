"""Evaluate a learner on tasks it has never met."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..errors import UserError
from ..learner import Learner
from ..rng import Rng
from ..state import fingerprint
from ..tasks.source import TaskSource
from .intervals import mean_interval
from .measure import Measured, measure
from .result import Curve, Result, plain


def evaluate(
    learner: Learner,
    source: TaskSource,
    *,
    tasks: int = 1000,
    first: int = 0,
    batch: int = 32,
    rng: Rng | None = None,
    shots: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Result:
    """Adapt to the support set of each task, answer its queries, and say how well that went and how sure it is.

    The learner is put in evaluation mode and left as it was. A task whose answers are not finite is left out of all
    means, counted, and said.

    Args:
        learner: any.
        source: of the split to judge by: `source.test`.
        tasks: episodes first, first + 1, ...
        batch: tasks drawn and mapped at a time; changes the speed, not the result.
        rng: key for learners that are `stochastic`.
        shots: judge with these numbers of support examples a class too.
        steps: judge after these numbers of steps too, for a learner that is `iterative`.

    Raises:
        UserError: no tasks, tasks of a kind that the learner does not serve, or inputs that it cannot take.
    """
    if tasks < 1 or batch < 1:
        raise UserError(f"Asked for {tasks} tasks, {batch} at a time; both must be at least one.")
    if steps and not learner.iterative:
        raise UserError(
            f"{type(learner).__name__} does not adapt by steps, so there is no curve over steps; leave steps out."
        )
    by_shots: Curve = {}
    by_steps: Curve = {}
    where = (tasks, first, batch, rng or Rng(0))
    with evaluating(learner):
        began = time.perf_counter()
        found = measure(learner, source, *where)
        seconds = time.perf_counter() - began
        for k in shots or ():
            by_shots[k] = mean_interval(measure(learner, source.replaced(shots=k), *where).values)
        for k in steps or ():
            with _taking(learner, k):
                by_steps[k] = mean_interval(measure(learner, source, *where).values)
    protocol = _protocol(learner, source, {"first": first, "tasks": tasks, "queries_per_task": found.queries})
    return _result(learner, found, protocol=protocol, seconds=seconds, by_shots=by_shots, by_steps=by_steps)


@contextlib.contextmanager
def evaluating(learner: Learner) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is restored afterwards."""
    modes = [(module, module.training) for module in learner.modules()]
    try:
        learner.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _result(learner: Learner, found: Measured, **rest: Any) -> Result:
    value, half = mean_interval(found.values)
    return Result(
        tasks=len(found.episodes),
        metric=found.metric,
        value=value,
        ci95=half,
        median=statistics.median(found.values) if found.values else math.nan,
        values=found.each,
        episodes=found.episodes,
        diverged=found.diverged,
        left_out=len(found.episodes) - len(found.values),
        ece=found.ece,
        nll=found.nll,
        coverage=found.coverage,
        manifest=found.manifest,
        learner=type(learner).__name__,
        fingerprint=fingerprint(learner),
        **rest,
    )


def _protocol(learner: Learner, source: TaskSource, which: dict[str, Any]) -> dict[str, Any]:
    about = dict(source.protocol) | {"split": source.split, "seed": source.seed} | which
    about |= {"interval": "t over tasks", "transductive": learner.transductive}
    policy = getattr(learner, "policy", None)
    return plain(about if policy is None else about | {"batch_statistics": policy})


@contextlib.contextmanager
def _taking(learner: Any, steps: int) -> Iterator[None]:
    """The learner with another number of steps in evaluation."""
    before = learner.test_steps
    try:
        learner.test_steps = steps
        yield
    finally:
        learner.test_steps = before
