"""Student's t and chi-square against scipy."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from quickstudy.evaluation.intervals import chi_square_tail, mean_interval
from quickstudy.functional.student import t_quantile, t_tail


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 9, 30, 199, 599, 999, 9_999, 100_000])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_quantiles_of_t(confidence: float, freedom: int) -> None:
    assert t_quantile(confidence, freedom) == pytest.approx(stats.t.ppf(0.5 + confidence / 2, freedom), rel=1e-8)


@pytest.mark.parametrize("freedom", [1, 2, 7, 40, 999])
@pytest.mark.parametrize("t", [0.0, 1e-9, 0.1, 1.0, -1.0, 2.0, 5.0, 40.0])
def test_tails_of_t(t: float, freedom: int) -> None:
    assert t_tail(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-8, abs=1e-300)


def test_tails_of_chi_square() -> None:
    for value, freedom in ((0.0, 3), (3.8, 1), (40.0, 20), (200.0, 100)):
        assert chi_square_tail(value, freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-8)


def test_an_interval_over_tasks() -> None:
    values = [random.Random(0).gauss(3, 2) for _ in range(1)] + [1.0, 4.0, 2.5, 7.0]
    mean, half = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert mean - half == pytest.approx(low)
    assert mean + half == pytest.approx(high)


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    mean, half = mean_interval([2.0])
    assert mean == 2.0
    assert math.isnan(half)
    assert all(math.isnan(v) for v in mean_interval([]))


def test_intervals_cover_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).normal(size=(2_000, 8))
    inside = [abs(mean) <= half for mean, half in map(mean_interval, draws.tolist())]
    assert 0.935 < np.mean(inside) < 0.965
