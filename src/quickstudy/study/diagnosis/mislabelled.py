"""How much is lost when some of the support labels are wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...engine.mapping import map_tasks
from ...engine.plan import choose
from ...errors import UserError
from ...evaluation.evaluate import evaluating
from ...evaluation.intervals import mean_interval
from ...evaluation.measure import check_fit, judge, singles
from ...learner import Learner
from ...rng import Rng
from ...task import Examples, Task, on_device
from ...tasks.source import TaskSource
from .diagnosis import Diagnosis, amount, level
from .units import by_group


def wrong_labels(
    learner: Learner,
    source: TaskSource,
    shares: Sequence[float] = (0.05, 0.1, 0.2),
    tasks: int = 200,
    *,
    first: int = 0,
    batch: int = 32,
    seed: int = 0,
) -> Diagnosis:
    """How much worse the answers are when a share of the support labels is wrong; the queries' labels stay right.

    A wrong label is another class that the task has examples of, all being equally likely; for a regression it is the
    target of another support row. Which labels are wrong is keyed by the number of the episode. The wrong ones of a
    small share are among those of a larger one. Where a share of n labels is no whole number, it is rounded up with the
    probability that makes it right on average: 5% of 5 labels is one wrong label in a quarter of the tasks. The loss is
    paired with the clean answers to the same validation tasks, and is exactly 0 for a share of 0. Where tasks are
    groups, episodes of one group count as one.

    Args:
        learner: any; a stochastic one meets clean and wrong labels with the same random numbers.
        source: of which the validation split is met.
        shares: of the support labels, 0..1.
        tasks: validation episodes.
        first: number of the first.
        batch: tasks at a time.
        seed: of which labels are wrong.

    Raises:
        UserError: a share that is none, no tasks, or tasks that the learner cannot serve.

    >>> from quickstudy.learners.baseline.nearest import NearestNeighbour
    >>> from quickstudy.tasks.episodes import Episodes
    >>> from quickstudy.tasks.pool import Pool
    >>> pool = Pool.of(torch.eye(2).repeat(8, 1), list("ab") * 8, split={"a": "validation", "b": "validation"})
    >>> source = Episodes(pool, ways=2, shots=1, queries=4, split="validation")
    >>> found = wrong_labels(NearestNeighbour(), source, (0.0, 1.0), tasks=10)
    >>> [point["loss"] for point in found.figures["points"]]
    [0.0, 100.0]
    """
    if not shares or any(not 0 <= share <= 1 for share in shares) or tasks < 1 or batch < 1:
        raise UserError(f"Got shares {tuple(shares)} of {tasks} tasks; give shares from 0 to 1, and a task at least.")
    levels = (0.0, *sorted(shares))
    episodes = range(first, first + tasks)
    with evaluating(learner):
        met = _meet(learner, source.validation, levels, episodes, batch, Rng(seed).at("wrong labels"))
    fine = met.values.isfinite().all(1)
    each = by_group(met.values[fine], None if met.groups is None else met.groups[fine])
    clean, points = mean_interval(each[:, 0].tolist()), []
    for share, wrong, column in zip(levels[1:], met.wrong[1:], each.T[1:], strict=True):
        lost = each[:, 0] - column if met.metric == "accuracy" else column - each[:, 0]
        (value, half), (loss, loss_half) = mean_interval(column.tolist()), mean_interval(lost.tolist())
        points.append(
            {"share": share, "wrong": wrong, "value": value, "ci95": half, "loss": loss, "loss_ci95": loss_half}
        )
    figures: dict[str, Any] = {"metric": met.metric, "clean": {"value": clean[0], "ci95": clean[1]}, "points": points}
    figures |= {"tasks": len(each), "episodes": tasks, "episodes_left_out": int((~fine).sum())}
    costs = ", ".join(
        f"{amount(p['loss'], p['loss_ci95'], met.metric)} with {100 * p['share']:.3g}% of them wrong" for p in points
    )
    return Diagnosis(
        "wrong labels",
        f"With all support labels right: {level(*clean, met.metric)}. Wrong ones cost {costs} (95%, paired over"
        f" {len(each):,} validation tasks).",
        figures,
    )


@dataclasses.dataclass(frozen=True)
class _Met:
    """The metric of each episode at each share (T, shares), the part of the labels that was wrong, and the groups."""

    metric: str
    values: Tensor
    wrong: list[float]
    groups: Tensor | None


def _meet(learner: Learner, source: TaskSource, shares: Sequence[float], episodes: range, batch: int, rng: Rng) -> _Met:
    """Judge every episode with each share of its support labels wrong."""
    # Random learners are keyed by the number of the episode, so that no result depends on the size of a batch.
    step = 1 if learner.stochastic else batch
    values, groups = [], []
    wrong, labels = [0] * len(shares), 0
    for start in episodes[::step]:
        numbers = range(start, min(start + step, episodes.stop))
        drawn = source.sample(start, len(numbers))
        key = Rng(0).at(start) if learner.stochastic else None
        if start == episodes.start:
            check_fit(learner, singles(on_device(drawn, learner.device))[0], key)
        columns = []
        for i, share in enumerate(shares):
            spoiled, count = mislabelled(drawn, share, numbers, rng)
            wrong[i] += count
            here = on_device(spoiled, learner.device)
            found = map_tasks(MethodType(judge, learner), here, choose(learner, here), rng=key)
            scale = 100 if here.ways is not None else 1
            columns.append((found["metric"].double() * scale).where(found["answered"], math.nan).cpu())
        values.append(torch.stack(columns, 1))
        labels += int(real_of(drawn.support).sum())
        if drawn.origin is not None and drawn.origin.group is not None:
            groups.append(drawn.origin.group)
    metric = "accuracy" if drawn.ways is not None else "mse"
    parts = [count / max(labels, 1) for count in wrong]
    return _Met(metric, torch.cat(values), parts, torch.cat(groups) if groups else None)


def mislabelled(tasks: Task, share: float, episodes: Sequence[int], rng: Rng) -> tuple[Task, int]:
    """A batch with a share of its support labels wrong, as `wrong_labels` says, and how many labels that are.

    Args:
        tasks: a batch, padded or not.
        share: 0..1.
        episodes: their numbers, which decide which labels are wrong.
        rng: the other half of the key.

    >>> support = Examples(torch.zeros(1, 4, 1), torch.tensor([[0, 0, 1, 1]]), ways=2)
    >>> spoiled, count = mislabelled(Task(support, support), 0.5, [0], Rng(0))
    >>> count, int((spoiled.support.y != support.y).sum())
    (2, 2)
    """
    support = tasks.support
    real = real_of(support).numpy()
    count, n = real.shape
    numbers = np.asarray(episodes)
    # Every place has numbers of its own, and padding comes last in the order: so it changes nothing.
    order = np.where(real, rng.at("which").uniform(numbers, n), 2.0)
    rank = np.argsort(np.argsort(order, axis=1, kind="stable"), axis=1)
    many = np.floor(share * real.sum(1) + rng.at("rounding").uniform(numbers, 1)[:, 0])
    uniform = rng.at("instead").uniform(numbers, n)
    if support.ways is None:
        others = real[:, None, :] & ~np.eye(n, dtype=bool)
        place = _picked(others, uniform)
        y = support.y.numpy()[np.arange(count)[:, None], place]
    else:
        classes = np.arange(support.ways)
        own = support.y.numpy()[:, :, None] == classes
        others = (own & real[:, :, None]).any(1)[:, None, :] & ~own
        y = _picked(others, uniform)
    flipped = torch.from_numpy((rank < many[:, None]) & real & others.any(2))
    chosen = flipped if support.ways is not None else flipped.unsqueeze(-1)
    labels = torch.where(chosen, torch.from_numpy(y), support.y)
    spoiled = Examples(support.x, labels, support.mask, ways=support.ways)
    return dataclasses.replace(tasks, support=spoiled), int(flipped.sum())


def _picked(among: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """In each row of the last axis the number of one that is True, all equally likely; 0 where none is."""
    nth = np.floor(uniform * among.sum(-1))
    return np.argmax(among.cumsum(-1) > nth[..., None], axis=-1)


def real_of(examples: Examples) -> Tensor:
    """(T, n) which examples of a batch are no padding."""
    if examples.mask is not None:
        return examples.mask
    return torch.ones(examples.y.shape[:2], dtype=torch.bool)
