"""Whether there are past tasks enough: the error on new tasks against the number of tasks that were learned from."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import NotEnoughExamples, UserError
from ...evaluation.evaluate import evaluate
from ...evaluation.intervals import mean_interval
from ...functional.student import t_quantile
from ...learner import Learner
from ...rng import Rng
from ...tasks.source import TaskSource
from .diagnosis import Diagnosis, amount, level
from .units import by_group, groups_of, part_of, training_units, unit_of

COUNTED = ("no", "one", "two", "three", "four", "five", "six")


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """error = c * number ^ slope, and what it says of twice the largest number.

    Args:
        slope: below 0 where more tasks lower the error.
        half: half the width of its 95% interval; infinite where nothing tells it.
        end: the error that the law gives for the largest number met.
        gain: how much lower it gives the error for twice that number.
        gain_half: half the width of its 95% interval.
    """

    slope: float
    half: float
    end: float
    gain: float
    gain_half: float


def power_law(numbers: Sequence[int], errors: Tensor) -> PowerLaw | None:
    """Fit a power law to errors by least squares in logarithms; None where an error is 0 or all numbers are one.

    Two things make the slope uncertain, and the wider interval of the two is given. One is the scatter of the points
    around the law, with points - 2 degrees of freedom: it holds what chance in the choice of the tasks and in training
    does, and that the law is not quite one. With two points it is infinite. The other is that few tasks were asked;
    all learners met the same ones, so it comes from the slopes of single tasks (to first order in their differences
    from the mean), and what makes a task hard falls out. The interval of the gain is
    carried over from that of the slope, its wider side to both sides: so it leaves out 0 only where that does.

    Args:
        numbers: (points,) of tasks that were learned from.
        errors: (tasks, points) above or at 0, the same tasks in every column.

    >>> law = power_law([10, 20, 40], torch.tensor([[16.0, 8.0, 4.0], [32.0, 16.0, 8.0]]))
    >>> round(law.slope, 6), round(law.end, 6), round(law.gain, 6)
    (-1.0, 6.0, 3.0)
    """
    x, mean = torch.tensor(numbers, dtype=torch.float64).log2(), errors.double().mean(0)
    if len(set(numbers)) < 2 or not bool((mean > 0).all()):
        return None
    centred = x - x.mean()
    square = float(centred.square().sum())
    y = mean.log2()
    slope = float(centred @ y) / square
    rest = y - y.mean() - slope * centred
    freedom = len(numbers) - 2
    scatter = math.inf
    if freedom:
        scatter = t_quantile(0.95, freedom) * math.sqrt(float(rest.square().sum()) / freedom / square)
    _, noise = mean_interval((errors.double() / mean / math.log(2) @ centred / square).tolist())
    half = max(scatter, math.inf if math.isnan(noise) else noise)
    end = 2 ** float(y.mean() + slope * centred.max())
    reach = 2**half - 1 if half < 100 else math.inf
    return PowerLaw(slope, half, end, end * (1 - 2**slope), end * 2**slope * reach)


def variety(
    fit: Callable[[Any], Learner],
    source: TaskSource,
    shares: Sequence[float] = (0.25, 0.5, 1.0),
    *,
    tasks: int = 200,
    repeats: int = 1,
    seed: int = 0,
    seconds: float | None = None,
    rng: Rng | None = None,
) -> Diagnosis:
    """What twice as many past tasks would give: train on parts of them, and see how the error on new ones falls.

    Every learner answers the same validation tasks. A power law through the errors (Hestness et al. 2017,
    arXiv:1712.00409) is carried on to twice the number; a gain is claimed where its 95% interval leaves out 0. Three
    points leave one degree of freedom, so only a very straight fall is claimed; `repeats` give more.

    Args:
        fit: trains for a while on a source of training tasks: the same while for each, and as long as it takes, or the
            figure shows how fast learning is instead.
        source: of classes or groups, see `part_of`.
        shares: of the training classes or groups.
        tasks: validation episodes.
        repeats: other parts of each size.
        seed: of the parts.
        seconds: budget; what would not fit in, by the longest training so far, is left out and said. The largest part
            comes first, then the smallest.
        rng: for learners that are stochastic.

    Raises:
        UserError: no shares, or tasks of which there is no number.

    >>> from quickstudy.learners.baseline.majority import Majority
    >>> from quickstudy.tasks.episodes import Episodes
    >>> from quickstudy.tasks.pool import Pool
    >>> sides = {c: "train" if c in "abcdefgh" else "validation" for c in "abcdefghij"}
    >>> pool = Pool.of(torch.arange(30.0).view(30, 1), list("abcdefghij") * 3, split=sides)
    >>> found = variety(lambda part: Majority(), Episodes(pool, ways=2, shots=1, queries=2), tasks=8)
    >>> [point["number"] for point in found.figures["points"]], found.figures["claim"]
    ([2, 4, 8], False)
    """
    if not shares or repeats < 1:
        raise UserError(f"{len(shares)} shares and {repeats} repeats leave nothing to train on; give one at least.")
    began, left_out = time.perf_counter(), list[dict[str, Any]]()
    points: dict[tuple[int, int], dict[str, Any]] = {}
    columns: dict[tuple[int, int], Tensor] = {}
    metric = ""
    for share, repeat in _order(shares, repeats):
        about = {"share": share, "repeat": repeat}
        longest = max((point["seconds"] for point in points.values()), default=0.0)
        if seconds is not None and points and time.perf_counter() - began + longest > seconds:
            left_out.append(about | {"why": f"no time left of {seconds:g} seconds"})
            continue
        try:
            part = part_of(source, share, seed=seed + repeat).train
        except NotEnoughExamples as error:
            left_out.append(about | {"why": str(error)})
            continue
        key = (training_units(part), repeat if share < 1 else 0)
        if key in points:  # with few classes two shares may be one part; met twice it would pass for a confirmation
            continue
        start = time.perf_counter()
        result = evaluate(fit(part), source.validation, tasks=tasks, rng=rng)
        metric = result.metric
        errors = [math.nan if v is None else (100 - v if metric == "accuracy" else v) for v in result.values]
        columns[key] = torch.tensor(errors, dtype=torch.float64)
        points[key] = about | {"number": key[0], "seconds": time.perf_counter() - start}
    if not points:
        raise UserError(f"No part of the training tasks could be trained on: {left_out[0]['why']}")
    return _told(source, points, columns, metric, tasks, left_out)


def _order(shares: Sequence[float], repeats: int) -> list[tuple[float, int]]:
    """Largest, smallest, the others; then the repeats, which all training tasks together have none of."""
    once = sorted(set(shares))
    once = [once[-1], *once[:-1]]
    return [(share, r) for r in range(repeats) for share in once if share < 1 or r == 0]


def _told(
    source: TaskSource,
    points: dict[tuple[int, int], dict[str, Any]],
    columns: dict[tuple[int, int], Tensor],
    metric: str,
    tasks: int,
    left_out: list[dict[str, Any]],
) -> Diagnosis:
    keys = sorted(points)
    episodes = torch.stack([columns[key] for key in keys], 1)
    fine = episodes.isfinite().all(1)
    groups = groups_of(source.validation, tasks)
    errors = by_group(episodes[fine], None if groups is None else groups[fine])
    rows = []
    for key, values in zip(keys, errors.T, strict=True):
        mean, half = mean_interval(values.tolist())
        rows.append(points[key] | {"error": mean, "ci95": half})
    law = power_law([key[0] for key in keys], errors)
    claim = law is not None and abs(law.gain) > law.gain_half
    figures: dict[str, Any] = {"metric": metric, "unit": unit_of(source), "points": rows, "claim": claim}
    figures |= {"validation_tasks": len(errors), "left_out": left_out}
    if law is not None:
        figures |= {"law": dataclasses.asdict(law), "twice": {"number": 2 * keys[-1][0], "error": law.end - law.gain}}
    return Diagnosis("variety", _sentence(rows, law, claim, metric, unit_of(source)), figures)


def _sentence(rows: list[dict[str, Any]], law: PowerLaw | None, claim: bool, metric: str, unit: str) -> str:
    ends = [f"{level(row['error'], row['ci95'], metric)} with {row['number']:,}" for row in (rows[0], rows[-1])]
    many = COUNTED[len(rows)] if len(rows) < len(COUNTED) else str(len(rows))
    seen = f"Errors on new tasks: {ends[0]} past {unit}, {ends[1]}." if len(rows) > 1 else f"Error: {ends[0]} {unit}."
    if law is None:
        why = "nothing is left to gain" if rows[-1]["error"] == 0 else f"{many} points allow no claim"
        return f"{seen} What more past {unit} would give cannot be told: {why}."
    gain = f"about {amount(law.gain, law.gain_half, metric)}"
    if not claim:
        return f"{seen} Twice as many past {unit} would give {gain} (95%): {many} points allow no claim."
    if law.gain > 0:
        return f"{seen} More variety helps: twice as many past {unit} would give {gain} (95%, by a power law)."
    worse = amount(-law.gain, law.gain_half, metric)
    return f"{seen} More past {unit} made it worse: twice as many would cost about {worse} (95%, by a power law)."
