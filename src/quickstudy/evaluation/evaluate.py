"""Evaluate a learner on tasks it has never met."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from ..engine.mapping import map_tasks
from ..engine.plan import Plan, choose
from ..errors import BadExamples, UserError
from ..learner import Learner, criterion, metric
from ..rng import Rng
from ..state import fingerprint
from ..task import Task, batch_size, check_task, is_padded, take, trim
from ..tasks.source import TaskSource, content_hash
from .intervals import mean_interval
from .metrics import answered, calibration_bins, calibration_error, error_of_mean
from .result import Result, plain


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
    key = rng or Rng(0)
    by_shots, by_steps = {}, {}
    with evaluating(learner):
        began = time.perf_counter()
        found = _measure(learner, source, tasks, first, batch, key)
        seconds = time.perf_counter() - began
        for k in shots or ():
            by_shots[k] = mean_interval(_measure(learner, source.replaced(shots=k), tasks, first, batch, key).values)
        for k in steps or ():
            with _taking(learner, k):
                by_steps[k] = mean_interval(_measure(learner, source, tasks, first, batch, key).values)
    value, half = mean_interval(found.values)
    ece, nll = found.calibration()
    return Result(
        metric="mse" if "baseline" in found.numbers else "accuracy",
        value=value,
        ci95=half,
        median=statistics.median(found.values) if found.values else math.nan,
        values=found.each,
        episodes=found.episodes,
        diverged=found.diverged,
        left_out=tasks - len(found.values),
        ece=ece,
        nll=nll,
        protocol=_protocol(learner, source, tasks, first, found.queries),
        manifest=found.manifest,
        learner=type(learner).__name__,
        fingerprint=fingerprint(learner),
        seconds=seconds,
        by_shots=by_shots,
        by_steps=by_steps,
    )


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


def singles(tasks: Task) -> list[Task]:
    """The tasks of a batch one by one, without padding."""
    each = [take(tasks, i) for i in range(batch_size(tasks))]
    return [trim(task) for task in each] if is_padded(tasks) else each


def check_fit(learner: Learner, task: Task, rng: Rng | None = None) -> None:
    """Stop with one clear message when a learner cannot serve a task.

    Raises:
        UserError: the task is of another kind.
        BadExamples: its inputs, classes or targets do not fit the learner's net.
    """
    name = type(learner).__name__
    if task.kind not in learner.kinds:
        raise UserError(
            f"{name} serves {' and '.join(learner.kinds)}, but these are tasks of {task.kind}; choose another learner."
        )
    shape, d = (
        tuple(task.support.x.shape[1:]),
        f"{task.ways} classes" if task.ways else f"targets of length {task.query.y.shape[-1]}",
    )
    needs = f"{name} cannot take these tasks (inputs shaped {shape} of {task.support.x.dtype}, {d})"
    try:
        output = learner.predict(learner.adapt(task.support, task.description, rng=rng), task.query.x)
    except UserError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BadExamples(f"{needs}: {reason}. Give it a net for such inputs and outputs.") from error
    width, count = task.ways or task.query.y.shape[-1], len(task.query)
    fits = output.shape == (count, width) or (
        task.ways is not None and output.shape[0] == count and output.shape[-1] > width
    )
    if not fits:
        raise BadExamples(
            f"{needs}: for {count} queries it gives {tuple(output.shape)}, where {(count, width)} is needed."
        )


def judge(learner: Learner, task: Task, rng: Rng | None) -> dict[str, Tensor]:
    """What is measured of one task; every entry has the same shape for all tasks."""
    query = task.query
    output = learner.predict(learner.adapt(task.support, task.description, rng=rng), query.x)
    measured = {"metric": metric(output, query), "answered": answered(output, query)}
    if query.ways is None:
        return measured | {"baseline": error_of_mean(task)}
    return measured | {"nll": criterion(output, query), "bins": calibration_bins(output, query)}


@dataclasses.dataclass(frozen=True)
class _Measured:
    """What was measured of some tasks: (T, ...) tensors by name, and which tasks they were."""

    numbers: dict[str, Tensor]
    episodes: tuple[str, ...]
    manifest: str
    queries: float

    @property
    def values(self) -> list[float]:
        """The metric of every task that had an answer."""
        return self._metric[self.numbers["answered"]].tolist()

    @property
    def each(self) -> tuple[float | None, ...]:
        """The metric of every task to six digits, None where there was no answer."""
        pairs = zip(self._metric.tolist(), self.numbers["answered"].tolist(), strict=True)
        return tuple(float(f"{value:.6g}") if fine else None for value, fine in pairs)

    @property
    def _metric(self) -> Tensor:
        return self.numbers["metric"].double() * (1 if "baseline" in self.numbers else 100)

    @property
    def diverged(self) -> float:
        """Share of tasks without an answer, or with one worse than the mean support target."""
        lost = ~self.numbers["answered"]
        if "baseline" in self.numbers:
            lost = lost | (self.numbers["metric"] > self.numbers["baseline"])
        return lost.double().mean().item()

    def calibration(self) -> tuple[float | None, float | None]:
        """Calibration error and negative log-likelihood, for classification."""
        fine = self.numbers["answered"]
        if "nll" not in self.numbers or not bool(fine.any()):
            return None, None
        nll = self.numbers["nll"][fine].double().mean().item()
        return calibration_error(self.numbers["bins"][fine].sum(0)), nll if math.isfinite(nll) else None


def _measure(learner: Learner, source: TaskSource, tasks: int, first: int, batch: int, rng: Rng) -> _Measured:
    # Random learners are keyed by the number of the episode, so that no result depends on the size of a batch.
    step = 1 if learner.stochastic else batch
    plan: Plan | None = None
    digest, queries = hashlib.sha256(), 0
    parts: list[dict[str, Tensor]] = []
    episodes: list[str] = []
    for start in range(first, first + tasks, step):
        drawn = source.sample(start, min(step, first + tasks - start))
        key = rng.at(start) if learner.stochastic else None
        if plan is None:
            for task in singles(drawn):
                check_task(task)
            check_fit(learner, singles(drawn)[0], key)
            plan = choose(learner, drawn)
        parts.append(map_tasks(MethodType(judge, learner), drawn, plan, rng=key))
        hashed = content_hash(drawn)
        digest.update(hashed)
        episodes += [hashed[i : i + 4].hex() for i in range(0, len(hashed), 32)]
        mask = drawn.query.mask
        queries += math.prod(drawn.query.y.shape[:2]) if mask is None else int(mask.sum())
    numbers = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return _Measured(numbers, tuple(episodes), digest.hexdigest(), queries / tasks)


def _protocol(learner: Learner, source: TaskSource, tasks: int, first: int, queries: float) -> dict[str, Any]:
    about = dict(source.protocol) | {"split": source.split, "seed": source.seed, "first": first, "tasks": tasks}
    about |= {"queries_per_task": queries, "interval": "t over tasks", "transductive": learner.transductive}
    policy = getattr(learner, "policy", None)
    return plain(about if policy is None else about | {"batch_statistics": policy})  # type: ignore[no-any-return]


@contextlib.contextmanager
def _taking(learner: Any, steps: int) -> Iterator[None]:
    """The learner with another number of steps in evaluation."""
    before = learner.test_steps
    try:
        learner.test_steps = steps
        yield
    finally:
        learner.test_steps = before
