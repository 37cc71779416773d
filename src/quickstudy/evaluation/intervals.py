"""Intervals: Student's t over tasks, Wilson's of a share; without scipy."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import torch

from ..functional.student import t_quantile

NORMAL = 1.959963984540054  # the 97.5 % point of the normal distribution


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The mean and half the width of its t interval; the half width is NaN for one value, both are for none.

    >>> mean, half = mean_interval([1.0, 2.0, 3.0])
    >>> f"{mean:.1f} ± {half:.3f}"
    '2.0 ± 2.484'
    """
    n = len(values)
    if n < 2:
        return (values[0] if n else math.nan), math.nan
    return statistics.fmean(values), t_quantile(confidence, n - 1) * statistics.stdev(values) / math.sqrt(n)


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, in percent, which few answers, or none wrong, do not make too narrow (Wilson 1927).

    >>> [round(end) for end in wilson(10, 10)]
    [72, 100]
    """
    z = NORMAL**2 / n
    middle, half = right / n + z / 2, math.sqrt(z * (right / n * (1 - right / n) + z / 4))
    return 100 * max(0.0, middle - half) / (1 + z), 100 * min(1 + z, middle + half) / (1 + z)


def chi_square_tail(value: float, freedom: int) -> float:
    """P(X > value) for X of the chi-square distribution: the p of a table against what was expected of it.

    >>> round(chi_square_tail(3.841459, 1), 6)
    0.05
    """
    half = torch.tensor([freedom / 2, value / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
