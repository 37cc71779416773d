"""Verification: are two examples of one class? Judged on classes that were never met."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...learner import Learner
from ...state import fingerprint
from ...task import Task, check_task
from ...tasks.source import TaskSource
from ..evaluate import evaluating
from ..intervals import mean_interval
from ..measure import singles
from ..result import rounded
from .roc import area_by_task, best_threshold, equal_error_threshold

Measure = tuple[float, float]  # a value in percent and half the width of its 95% interval


@runtime_checkable
class Similar(Protocol):
    """What can be judged: the higher the similarity of a pair, the surer that it is of one class."""

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """(n,) for the pairs of (n, *feature) inputs `a` and (n, *feature) inputs `b`."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found, in percent, each with half the width of its 95% interval over tasks.

    Attributes:
        accuracy: share of pairs on the right side of the threshold, half of them being of one class.
        auc: chance that a pair of one class is more similar than a pair of two, ties counting half.
        equal_error: share of errors at the threshold where as many pairs of one class are taken for two as the other
            way round. Its interval holds that threshold fixed.
        threshold: the similarity from which on a pair is taken to be of one class.
        tasks: that were judged.
        left_out: tasks with a similarity that is not finite; in no number here.
        pairs: of a task, on average.
        protocol: the source's, and split, seed, first, transductive and where the threshold comes from.
        learner: name of its class.
        fingerprint: hash of its weights.
    """

    accuracy: Measure
    auc: Measure
    equal_error: Measure
    threshold: float
    tasks: int
    left_out: int
    pairs: float
    protocol: dict[str, Any]
    learner: str
    fingerprint: str

    def __str__(self) -> str:
        named = (("accuracy", self.accuracy), ("AUC", self.auc), ("equal error rate", self.equal_error))
        numbers = ", ".join("{} {}% ± {}".format(name, *rounded(*measure)) for name, measure in named)
        ways = self.protocol.get("ways")
        setting = [str(self.protocol["source"]), f"{self.protocol['split']} split"]
        setting += [] if ways is None else [f"{'–'.join(map(str, ways)) if isinstance(ways, tuple) else ways}-way"]
        setting += ["transductive" if self.protocol["transductive"] else "inductive"]
        left = f"; {self.left_out:,} tasks left out, their similarities were not finite" if self.left_out else ""
        return (
            f"{numbers} (95% over {self.tasks:,} tasks of {self.pairs:.0f} pairs, half of them of one class;"
            f" {', '.join(setting)}; threshold {self.threshold:.3g}, {self.protocol['threshold']}{left})"
        )


def verify(
    learner: Learner, source: TaskSource, *, tasks: int = 200, first: int = 0, threshold: float | None = None
) -> Verification:
    """Pair the queries of each task with support examples, of their own class and of others, and tell them apart.

    Every query stands in two pairs: with an example of its class and with one of another, both drawn by a key of the
    episode. The learner is put in evaluation mode and left as it was.

    Args:
        learner: any with `similarity(a, b)`.
        source: of the split to judge by: `source.test`.
        tasks: episodes first, first + 1, ...
        first: number of the first.
        threshold: the similarity that decides; the best one for as many tasks of `source.validation` when None.

    Raises:
        UserError: the learner has no similarity, the tasks are no classification or have one class, too few tasks, or
            the threshold would be found on the tasks that it is judged by.

    >>> from torch import nn
    >>> from quickstudy.learners.metric.siamese import Siamese
    >>> from quickstudy.tasks.episodes import Episodes
    >>> from quickstudy.tasks.pool import Pool
    >>> pool = Pool.of(torch.arange(40.0).view(40, 1) // 10, torch.arange(40) // 10)
    >>> source = Episodes(pool, ways=4, shots=1, queries=2)
    >>> found = verify(Siamese(nn.Flatten(), objective="contrastive"), source, tasks=5, threshold=-0.5)
    >>> found.accuracy, found.auc, found.equal_error
    ((100.0, 0.0), (100.0, 0.0), (0.0, 0.0))
    """
    if not isinstance(learner, Similar):
        raise UserError(
            f"{type(learner).__name__} has no similarity(a, b), so it cannot say whether two examples are of one class;"
            " choose one that has, such as Siamese."
        )
    if tasks < 2:
        raise UserError(f"Asked for {tasks} tasks; an interval over tasks needs at least two.")
    if threshold is None and source.split == "validation":
        raise UserError(
            "The threshold is found on the validation split, so it cannot be judged there; judge by source.test, or"
            " give threshold=..."
        )
    which = "given" if threshold is not None else f"best on {tasks:,} validation tasks"
    with evaluating(learner):
        if threshold is None:
            threshold = best_threshold(*_pooled(_similarities(learner, source.validation, first, tasks)))
        found = _similarities(learner, source, first, tasks)
    about = {"split": source.split, "seed": source.seed, "first": first, "threshold": which}
    about |= {"transductive": learner.transductive}
    return Verification(
        **_measures(found, threshold),
        threshold=threshold,
        tasks=len(found),
        left_out=tasks - len(found),
        pairs=statistics.fmean(pairs.numel() for pairs in found),
        protocol={"source": source.name} | source.protocol | about,
        learner=type(learner).__name__,
        fingerprint=fingerprint(learner),
    )


def _similarities(learner: Similar, source: TaskSource, first: int, tasks: int) -> list[Float[Tensor, "2 n"]]:
    """Similarities of the pairs of each task, of one class and of two; without tasks where one is not finite."""
    found = []
    for number in range(first, first + tasks):
        (task,) = singles(source.sample(number, 1))
        if number == first:
            check_task(task)
        queries = torch.arange(len(task.query)).repeat(2)
        partners = torch.cat(_partners(task, source, number))
        pairs = learner.similarity(task.support.x[partners], task.query.x[queries]).double()
        if bool(pairs.isfinite().all()):
            found.append(pairs.view(2, -1))
    if len(found) < 2:
        raise UserError(
            f"Of {tasks} {source.split} tasks {len(found)} had similarities that are finite, and an interval needs two;"
            " look at the learner's weights."
        )
    return found


def _partners(task: Task, source: TaskSource, number: int) -> tuple[Tensor, Tensor]:
    """For each query the support example of its own class, and of another, with the highest draw."""
    if task.ways is None:
        raise UserError(f"'{source.name}' has tasks of regression; verification needs classes.")
    same = task.query.y.unsqueeze(1) == task.support.y
    if bool(same.all(1).any()):
        raise UserError(f"Episode {number} of '{source.name}' has one class, so no pair of two; use ways=2 or more.")
    generator = source.rng.at("verification", number).generator()
    draw = torch.rand(same.shape, generator=generator)
    return draw.where(same, -1).argmax(1), draw.where(~same, -1).argmax(1)


def _pooled(found: list[Float[Tensor, "2 n"]]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    same, different = torch.cat(found, 1)
    return same, different


def _measures(found: list[Float[Tensor, "2 n"]], threshold: float) -> dict[str, Measure]:
    same, different = _pooled(found)
    level = equal_error_threshold(same, different)
    areas = area_by_task(found)
    return {
        "accuracy": mean_interval([100 - _errors(pairs, threshold) for pairs in found]),
        "auc": mean_interval([100 * value for value in areas]),
        "equal_error": mean_interval([_errors(pairs, level) for pairs in found]),
    }


def _errors(pairs: Float[Tensor, "2 n"], threshold: float) -> float:
    """Percent of pairs on the wrong side."""
    return 50 * float((pairs[0] < threshold).double().mean() + (pairs[1] >= threshold).double().mean())
