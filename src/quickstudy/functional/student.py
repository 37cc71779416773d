"""Student's t distribution, without scipy: pure numbers, for whoever gives an interval."""

from __future__ import annotations

import functools
import math
import statistics


@functools.lru_cache(maxsize=256)
def t_quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| <= t) = `confidence` for T of Student's distribution with `freedom` degrees of freedom.

    >>> round(t_quantile(0.95, 10), 6)
    2.228139
    """
    wanted = 1.0 - confidence
    # The tail is convex and the normal quantile lies below that of t: Newton's steps go up to the root, never past it.
    t = statistics.NormalDist().inv_cdf(1.0 - wanted / 2)
    for _ in range(200):
        step = (t_tail(t, freedom) - wanted) / (2.0 * _t_density(t, freedom))
        t += step
        if abs(step) <= 1e-13 * t:
            break
    return t


def t_tail(t: float, freedom: int) -> float:
    """P(|T| > t), the two-sided p of a t statistic.

    >>> round(t_tail(2.228139, 10), 6)
    0.05
    """
    square = t * t
    a = freedom / 2
    log_x, log_rest = -math.log1p(square / freedom), math.log(square / (freedom + square)) if square else -math.inf
    if log_rest == -math.inf:
        return 1.0
    front = math.exp(math.lgamma(a + 0.5) - math.lgamma(a) - math.lgamma(0.5) + a * log_x + 0.5 * log_rest)
    x, rest = freedom / (freedom + square), square / (freedom + square)
    if x < (a + 1) / (a + 2.5):
        return front * _fraction(x, a, 0.5) / a
    return 1.0 - front * _fraction(rest, 0.5, a) / 0.5


def _t_density(t: float, freedom: int) -> float:
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    return math.exp(scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method (Press et al. 2007, section 6.4)."""
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        for top in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1.0 / (1.0 + top * d), 1.0 + top / c
            value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return value
