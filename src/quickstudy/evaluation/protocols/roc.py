"""Two kinds of pairs told apart by a threshold: error rates, and the area under the curve of all thresholds."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def error_rates(
    same: Float[Tensor, " n"], different: Float[Tensor, " m"], thresholds: Float[Tensor, " k"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Share of pairs of one class below each threshold, and of pairs of two classes not below it.

    >>> error_rates(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]), torch.tensor([2.0]))
    (tensor([0.5000]), tensor([0.5000]))
    """
    missed = torch.searchsorted(same.sort().values, thresholds) / len(same)
    passed = 1 - torch.searchsorted(different.sort().values, thresholds) / len(different)
    return missed, passed


def best_threshold(same: Float[Tensor, " n"], different: Float[Tensor, " m"]) -> float:
    """The threshold with the fewest errors, halfway between the similarities on either side of it.

    >>> best_threshold(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0]))
    1.5
    """
    levels = _levels(same, different)
    missed, passed = error_rates(same, different, levels)
    return float(levels[(missed + passed).argmin()])


def equal_error_threshold(same: Float[Tensor, " n"], different: Float[Tensor, " m"]) -> float:
    """The threshold at which both error rates are as equal as they get."""
    levels = _levels(same, different)
    missed, passed = error_rates(same, different, levels)
    return float(levels[(missed - passed).abs().argmin()])


def _levels(same: Tensor, different: Tensor) -> Tensor:
    """Every threshold that makes a difference: the least similarity, and the middle between each and the next."""
    values = torch.cat([same, different]).unique()
    return torch.cat([values[:1], (values[1:] + values[:-1]) / 2])


def area_by_task(found: list[Float[Tensor, "2 _"]]) -> list[float]:
    """Numbers, one a task, whose mean is the area under the curve of all pairs and whose spread is its uncertainty.

    A task's number is the area plus what its pairs, against all others, lie above it (the structural components of
    DeLong et al. 1988, doi:10.2307/2531595, summed over the cluster as in Obuchowski 1997, doi:10.2307/2533958).
    """
    same, different = torch.cat(found, 1)
    won = [_share_below(pairs[0], different) for pairs in found]
    lost = [1 - _share_below(pairs[1], same) for pairs in found]
    area = float(torch.cat(won).mean())
    weight = len(found) / len(same)
    return [area + weight * float((a - area).sum() + (b - area).sum()) for a, b in zip(won, lost, strict=True)]


def _share_below(values: Float[Tensor, " k"], others: Float[Tensor, " n"]) -> Float[Tensor, " k"]:
    """Share of `others` below each value, ties counting half."""
    ordered = others.sort().values
    sides = [torch.searchsorted(ordered, values, right=right) for right in (False, True)]
    return (sides[0] + sides[1]) / (2 * len(others))
