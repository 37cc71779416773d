"""How far off a search's answers are on past data sets that it did not learn from."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from ...task import Examples
from .surrogate import Surrogate

COUNTS = (0, 5, 15, 40)  # trials after which answers are compared
NINETY = 1.6448536269514722  # deviations on either side of the mean that hold 90 % of a normal distribution


def errors(
    learner: Surrogate, examples: Examples, order: Tensor, description: Tensor | None
) -> Iterable[tuple[int, Tensor]]:
    """In deviations, those of the candidates that are left after the first 0, 5, 15 and 40 trials of some order.

    Args:
        learner: that did not learn from this data set.
        examples: all candidates with a score.
        order: (n,) in which they are tried.
        description: meta-features of the data set.
    """
    for count in COUNTS:
        left = torch.ones(len(examples), dtype=torch.bool)
        left[order[:count]] = False
        if bool(left.any()):
            mean, variance = learner.mixture(
                learner.adapt(examples.select(order[:count]), description), examples.x[left]
            ).moments()
            yield count, (examples.y[left, 0] - mean).abs() / variance.sqrt()


def factors(found: Iterable[tuple[int, Tensor]]) -> Float[Tensor, " counts"]:
    """What deviations have to be multiplied with after 0, 5, 15 and 40 trials, so that 90 % intervals hold 90 %."""
    by_count: dict[int, list[Tensor]] = {count: [] for count in COUNTS}
    for count, values in found:
        by_count[count].append(values)
    made = torch.ones(len(COUNTS), dtype=torch.float64)
    for i, count in enumerate(COUNTS):
        if by_count[count]:
            made[i] = torch.quantile(torch.cat(by_count[count]), 0.9) / NINETY
        elif i:
            made[i] = made[i - 1]
    return made


def between(factors: Float[Tensor, " counts"], trials: int) -> Tensor:
    """The factor after some trials, along the logarithm of their number.

    >>> between(torch.tensor([1.0, 2.0, 2.0, 3.0]), 50).item()
    3.0
    """
    place = torch.tensor(COUNTS, dtype=torch.float64).log1p()
    here = torch.tensor(float(trials), dtype=torch.float64).log1p()
    upper = int(torch.searchsorted(place, here).clamp(1, len(COUNTS) - 1))
    share = ((here - place[upper - 1]) / (place[upper] - place[upper - 1])).clamp(0, 1)
    return torch.lerp(factors[upper - 1].double(), factors[upper].double(), share)
