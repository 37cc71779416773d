"""What a diagnosis is; and two that compare: meta-training with pooling, training tasks with new ones."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...errors import UserError
from ...evaluation.compare import compare
from ...evaluation.evaluate import evaluate
from ...evaluation.intervals import mean_interval
from ...evaluation.result import Result, plain, rounded
from ...functional.student import t_quantile
from ...learner import Learner
from ...rng import Rng
from ...tasks.source import TaskSource
from .units import by_group, groups_of


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """One thing that was found out.

    Args:
        name: what was asked, as a key.
        sentence: the answer in plain words, with a figure and its interval.
        figures: what a report draws; made plain JSON, so tuples become lists and numbers that are not finite None.

    >>> str(Diagnosis("weather", "It rains.", {"mm": (3.0, float("nan"))}))
    'It rains.'
    """

    name: str
    sentence: str
    figures: dict[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", plain(self.figures))

    def __str__(self) -> str:
        return self.sentence


def level(value: float, half: float, metric: str) -> str:
    """How good something is, in words.

    >>> level(85.12, 0.63, "accuracy"), level(0.4321, 0.0412, "mse")
    ('85.1% ± 0.6', 'mse 0.43 ± 0.04')
    """
    number, width = rounded(value, half)
    return f"{number}% ± {width}" if metric == "accuracy" else f"mse {number} ± {width}"


def amount(value: float, half: float, metric: str) -> str:
    """How much better or worse something is, in words.

    >>> amount(3.21, 0.4, "accuracy"), amount(0.4321, 0.0412, "mse")
    ('3.2 points ± 0.4', '0.43 ± 0.04 in mse')
    """
    number, width = rounded(value, half if math.isfinite(half) else math.nan)
    return f"{number} points ± {width}" if metric == "accuracy" else f"{number} ± {width} in mse"


def against_pooling(chosen: Result, others: Mapping[str, Result], *, name: str = "") -> Diagnosis:
    """Whether meta-training is worth it: a meta-trained learner against all that learned from pooled tasks.

    The results must be over the same tasks, as `compare` wants them. 'pays' needs a 95% interval above 0 against
    every one of the others, which errs in 5% of cases at most however many they are. 'does not pay' needs one of them
    to be better at 5% divided by their number (Bonferroni). All else is 'unclear'.

    Args:
        chosen: of the meta-trained learner.
        others: by name, of learners that were trained on all tasks at once: pooled, pre-trained, fine-tuned.
        name: of the meta-trained learner; its class when empty.

    Raises:
        UserError: nothing to compare with, or results over other tasks.

    >>> from quickstudy.learners.baseline.majority import Majority
    >>> from quickstudy.learners.baseline.nearest import NearestNeighbour
    >>> from quickstudy.tasks.episodes import Episodes
    >>> from quickstudy.tasks.pool import Pool
    >>> pool = Pool.of(torch.arange(12.0).view(12, 1).square() + 1, list("aaaabbbbcccc"))
    >>> source = Episodes(pool, ways=2, shots=1, queries=2)
    >>> near, none = (evaluate(learner, source, tasks=40) for learner in (NearestNeighbour(), Majority()))
    >>> against_pooling(near, {"majority": none}).figures["verdict"]
    'unclear'
    """
    if not others:
        raise UserError("There is nothing to compare meta-training with; give the result of a pooled learner.")
    name = name or chosen.learner
    found = {other: compare(chosen, result, names=(name, other)) for other, result in others.items()}
    closest = min(found, key=lambda other: found[other].difference)
    if all(c.difference > c.ci95 for c in found.values()):
        verdict, says = "pays", "Meta-training pays"
    elif any(c.difference < 0 and c.p * len(found) < 0.05 for c in found.values()):
        verdict, says = "does not pay", "Meta-training does not pay: what learned from all tasks at once is better"
    else:
        verdict, says = "unclear", "It is not clear that meta-training pays"
    rivals = "" if len(found) == 1 else f" (the strongest of {len(found)} that learned from all tasks at once)"
    figures = {
        "verdict": verdict,
        "metric": chosen.metric,
        "split": chosen.protocol.get("split"),
        "chosen": {"name": name, "value": chosen.value, "ci95": chosen.ci95},
        "strongest": closest,
        "others": [
            {"name": other, "value": others[other].value, "ci95": others[other].ci95} | dataclasses.asdict(c)
            for other, c in found.items()
        ],
    }
    return Diagnosis("against pooling", f"{says}. {found[closest].sentence}{rivals}.", figures)


def overfitting(
    learner: Learner, source: TaskSource, tasks: int = 200, *, first: int = 0, rng: Rng | None = None
) -> Diagnosis:
    """Whether a learner is better on the tasks that it was trained on than on new ones.

    Both sides are adapted to and asked alike; only validation tasks stand for new ones. The difference is unpaired
    (Welch's t interval); the unit is the group where tasks are groups, and the episode where they are drawn from
    classes. A difference may also mean that one side is the harder: that of a learner which was not trained at all
    tells how much of it.

    Args:
        learner: any.
        source: of which the training and validation splits are met.
        tasks: episodes of each split.
        first: number of the first.
        rng: for learners that are stochastic.

    >>> from quickstudy.learners.baseline.nearest import NearestNeighbour
    >>> from quickstudy.tasks.episodes import Episodes
    >>> from quickstudy.tasks.pool import Pool
    >>> sides = {c: "train" if c in "abc" else "validation" for c in "abcdef"}
    >>> pool = Pool.of(torch.eye(6).repeat_interleave(4, 0), [c for c in "abcdef" for _ in range(4)], split=sides)
    >>> found = overfitting(NearestNeighbour(), Episodes(pool, ways=2, shots=1, queries=2), tasks=20)
    >>> found.sentence.partition(":")[0], found.figures["loss"]
    ('No sign of overfitting to training tasks', 0.0)
    """
    sides: dict[str, list[float]] = {}
    for split in ("train", "validation"):
        result = evaluate(learner, source.of(split), tasks=tasks, first=first, rng=rng)
        values = torch.tensor([math.nan if v is None else v for v in result.values], dtype=torch.float64)
        groups = groups_of(source.of(split), tasks, first=first)
        fine = values.isfinite()
        sides[split] = by_group(values[fine], None if groups is None else groups[fine]).tolist()
    metric = result.metric
    known, new = sides["train"], sides["validation"]
    loss, half = unpaired(known, new) if metric == "accuracy" else unpaired(new, known)
    if math.isnan(half):
        says = "Whether training tasks are overfitted cannot be told"
    elif loss > half:
        says = "It does worse on tasks that it was not trained on"
    else:
        says = "No sign of overfitting to training tasks"
    gap = f"{'better' if loss < 0 else 'worse'} by {amount(abs(loss), half, metric)}"
    words = [level(*mean_interval(each), metric) for each in (known, new)]
    figures: dict[str, Any] = {"metric": metric, "loss": loss, "ci95": half, "overfits": loss > half, "episodes": tasks}
    for split, each in sides.items():
        mean, width = mean_interval(each)
        figures[split] = {"value": mean, "ci95": width, "tasks": len(each), "values": each}
    return Diagnosis(
        "overfitting",
        f"{says}: {words[0]} on {len(known):,} of them, {words[1]} on {len(new):,} validation tasks, {gap} (95%,"
        " unpaired).",
        figures,
    )


def unpaired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Mean of `a` minus mean of `b`, and half the width of Welch's 95% interval; NaN where a side has fewer than two.

    Degrees of freedom (Welch 1947, doi:10.1093/biomet/34.1-2.28) are rounded down, which errs on the wide side.

    >>> difference, half = unpaired([1.0, 2.0, 3.0], [0.0, 2.0, 4.0])
    >>> f"{difference:.1f} ± {half:.2f}"
    '0.0 ± 5.55'
    """
    difference = (statistics.fmean(a) if a else math.nan) - (statistics.fmean(b) if b else math.nan)
    if min(len(a), len(b)) < 2:
        return difference, math.nan
    parts = [statistics.variance(side) / len(side) for side in (a, b)]
    total = sum(parts)
    if not total:
        return difference, 0.0
    freedom = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (a, b), strict=True))
    return difference, t_quantile(0.95, max(1, math.floor(freedom + 1e-9))) * math.sqrt(total)
