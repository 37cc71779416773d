"""What a score is worth: costs by their size and by their order of magnitude at once, all else as it is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 1e-6  # of the largest cost: below it nobody tells costs apart
HALVINGS = 60


def units(final: Tensor, maximise: bool) -> Tensor:
    """(3,) what the size and the logarithm of a cost weigh, and the least cost: each has deviation 1 over the past.

    A mean of costs alone is ruled by those that were stopped, ten cut-offs each; a mean of logarithms hardly sees them.
    Scores that are no positive costs are left as they are: weights 1 and 0.

    Args:
        final: scores as `ScoreTable.final` has them, higher is better, NaN where unknown.
        maximise: whether they were scores, not costs, before.
    """
    known = final[torch.isfinite(final)]
    if maximise or bool((known > 0).any()) or not bool((known < 0).any()):
        return torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    least = FLOOR * known.abs().max()
    cost = (-known).clamp(min=least)
    spreads = torch.stack([cost.std(correction=0), cost.log().std(correction=0)])
    return torch.cat([1 / spreads.clamp(min=1e-12), least.reshape(1)])


def utility(score: Tensor, units: Tensor) -> Tensor:
    """The worth of scores: rises with them.

    >>> units = torch.tensor([1.0, 2.0, 0.1])
    >>> scored(utility(torch.tensor([-1.0, -20.0]), units), units).round(decimals=4).tolist()
    [-1.0, -20.0]
    """
    size, order, least = units.unbind()
    if not bool(order > 0):
        return score * size
    cost = torch.maximum(-score, least)
    return -(size * cost + order * cost.log())


def scored(worth: Tensor, units: Tensor) -> Tensor:
    """The scores that have such worth."""
    size, order, least = units.unbind()
    if not bool(order > 0):
        return worth / size
    # Between the least cost, and the cost whose size alone would be worth this much with the logarithm at its least.
    low = least.log().expand(worth.shape).clone()
    high = torch.maximum(low, ((-worth - order * low) / size).clamp(min=1e-300).log())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = size * middle.exp() + order * middle > -worth
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    return -((low + high) / 2).exp()


def completed(scores: Float[Tensor, "D C"]) -> Float[Tensor, "D C"]:
    """Missing scores filled with what data set and candidate usually bring, by turns until it settles."""
    known = torch.isfinite(scores)
    if bool(known.all()):
        return scores
    filled = torch.where(known, scores, scores.nanmean())
    for _ in range(20):
        row, column = filled.mean(1, keepdim=True), filled.mean(0)
        filled = torch.where(known, scores, row + column - filled.mean())
    return filled
