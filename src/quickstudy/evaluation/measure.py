"""Adapt to tasks, answer their queries, and measure the answers."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from types import MethodType

import torch
from torch import Tensor

from ..engine.mapping import map_tasks
from ..engine.plan import Plan, choose
from ..errors import BadExamples, UserError
from ..learner import Learner, criterion, metric
from ..outputs import Gaussian, central
from ..rng import Rng
from ..task import Task, batch_size, check_task, is_padded, on_device, take, trim
from ..tasks.source import TaskSource, content_hash
from .metrics import answered, calibration_bins, calibration_error, covered, error_of_mean


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of some tasks: (T, ...) tensors by name, and which tasks they were."""

    numbers: dict[str, Tensor]
    episodes: tuple[str, ...]
    manifest: str
    queries: float

    @property
    def metric(self) -> str:
        """What the values are: 'accuracy' in percent, or 'mse' in raw units."""
        return "mse" if "baseline" in self.numbers else "accuracy"

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
        return self.numbers["metric"].double() * (1 if self.metric == "mse" else 100)

    @property
    def diverged(self) -> float:
        """Share of tasks without an answer, or with one worse than the mean support target."""
        lost = ~self.numbers["answered"]
        if self.metric == "mse":
            lost = lost | (self.numbers["metric"] > self.numbers["baseline"])
        return lost.double().mean().item()

    @property
    def nll(self) -> float | None:
        """Mean negative log-likelihood of a query in nats; None where it is infinite or answers are points."""
        mean = self._mean("nll")
        return mean if mean is not None and math.isfinite(mean) else None

    @property
    def ece(self) -> float | None:
        """Expected calibration error of classification, in points of percent."""
        fine = self.numbers["answered"]
        if "bins" not in self.numbers or not bool(fine.any()):
            return None
        return 100 * calibration_error(self.numbers["bins"][fine].sum(0))

    @property
    def coverage(self) -> float | None:
        """Percent of targets inside their central 90 % intervals, for regressions answered with a Gaussian."""
        mean = self._mean("covered")
        return None if mean is None else 100 * mean

    def _mean(self, name: str) -> float | None:
        fine = self.numbers["answered"]
        if name not in self.numbers or not bool(fine.any()):
            return None
        return self.numbers[name][fine].double().mean().item()


def measure(learner: Learner, source: TaskSource, tasks: int, first: int, batch: int, rng: Rng) -> Measured:
    """Measure episodes first, first + 1, ..., drawing each once; the first batch is checked before it is used."""
    # Random learners are keyed by the number of the episode, so that no result depends on the size of a batch.
    step = 1 if learner.stochastic else batch
    plan: Plan | None = None
    digest, queries = hashlib.sha256(), 0
    parts: list[dict[str, Tensor]] = []
    episodes: list[str] = []
    for start in range(first, first + tasks, step):
        drawn = source.sample(start, min(step, first + tasks - start))
        hashed = content_hash(drawn)
        drawn = on_device(drawn, learner.device)
        key = rng.at(start) if learner.stochastic else None
        if plan is None:
            for task in singles(drawn):
                check_task(task)
            check_fit(learner, singles(drawn)[0], key)
            plan = choose(learner, drawn)
        found = map_tasks(MethodType(judge, learner), drawn, plan, rng=key)
        parts.append({name: numbers.cpu() for name, numbers in found.items()})
        digest.update(hashed)
        episodes += [hashed[i : i + 4].hex() for i in range(0, len(hashed), 32)]
        mask = drawn.query.mask
        queries += math.prod(drawn.query.y.shape[:2]) if mask is None else int(mask.sum())
    numbers = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return Measured(numbers, tuple(episodes), digest.hexdigest(), queries / tasks)


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
    if not len(task.support) and not learner.zero_shot:
        raise BadExamples(
            f"{name} learns from examples, and this task has none; give some, or choose a zero-shot learner."
        )
    shape, width = tuple(task.support.x.shape[1:]), task.ways or task.query.y.shape[-1]
    wanted = f"{width} classes" if task.ways else f"targets of length {width}"
    needs = f"{name} cannot take these tasks (inputs shaped {shape} of {task.support.x.dtype}, {wanted})"
    try:
        output = learner.predict(learner.adapt(task.support, task.description, rng=rng), task.query.x)
    except UserError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BadExamples(f"{needs}: {reason}. Give it a net for such inputs and outputs.") from error
    given, needed = tuple(central(output).shape), (len(task.query), width)
    # A fixed head may have more classes than a task.
    spare = task.ways is not None and len(given) == 2 and given[0] == needed[0] and given[1] > width
    if given != needed and not spare:
        raise BadExamples(f"{needs}: for {needed[0]} queries it gives {given}, where {needed} is needed.")


def judge(learner: Learner, task: Task, rng: Rng | None) -> dict[str, Tensor]:
    """What is measured of one task; every entry has the same shape for all tasks."""
    query = task.query
    output = learner.predict(learner.adapt(task.support, task.description, rng=rng), query.x)
    measured = {"metric": metric(output, query), "answered": answered(output, query)}
    if query.ways is None:
        measured["baseline"] = error_of_mean(task)
        if isinstance(output, Gaussian):
            measured |= {"nll": criterion(output, query), "covered": covered(output, query)}
        return measured
    output = central(output)
    return measured | {"nll": criterion(output, query), "bins": calibration_bins(output, query)}
