"""Verification: thresholds, areas and error rates against counting, and errors."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quickstudy.errors import UserError
from quickstudy.evaluation.protocols.roc import area_by_task, best_threshold, equal_error_threshold, error_rates
from quickstudy.evaluation.protocols.verification import verify
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.metric.siamese import Siamese
from quickstudy.rng import Rng
from quickstudy.state import fingerprint
from quickstudy.tasks.episodes import Episodes


def drawn(tasks: int, pairs: int, *, apart: float = 1.0, seed: int = 0) -> list[Tensor]:
    """Rounded, so that there are ties."""
    shift = torch.tensor([[apart], [0.0]])
    return [
        (2 * (torch.randn(2, pairs, generator=Rng(seed).at(i).generator()) + shift)).round().double() / 2
        for i in range(tasks)
    ]


def plain() -> Siamese:
    return Siamese(nn.Flatten(), objective="contrastive")


def test_rates_and_thresholds_by_counting() -> None:
    same, different = torch.cat(drawn(3, 20), 1)
    every = sorted({*same.tolist(), *different.tolist()})
    tried = [every[0], *((a + b) / 2 for a, b in pairwise(every))]
    missed = [float((same < t).double().mean()) for t in tried]
    passed = [float((different >= t).double().mean()) for t in tried]
    got = error_rates(same, different, torch.tensor(tried, dtype=torch.float64))
    assert got[0].tolist() == pytest.approx(missed) and got[1].tolist() == pytest.approx(passed)
    best = best_threshold(same, different)
    assert best in tried
    assert missed[tried.index(best)] + passed[tried.index(best)] == min(map(sum, zip(missed, passed, strict=True)))
    level = tried.index(equal_error_threshold(same, different))
    assert abs(missed[level] - passed[level]) == min(abs(a - b) for a, b in zip(missed, passed, strict=True))


def test_area_by_counting_pairs_of_pairs() -> None:
    found = drawn(4, 15)
    same, different = torch.cat(found, 1)
    wins = [(a > b) + 0.5 * (a == b) for a in same.tolist() for b in different.tolist()]
    assert statistics.fmean(area_by_task(found)) == pytest.approx(statistics.fmean(wins))


def test_interval_of_the_area_is_that_of_drawing_tasks_again() -> None:
    # Tasks that differ as wholes, so that pairs of one task are alike: an interval over pairs would be too narrow.
    def some(seed: int) -> list[Tensor]:
        levels = torch.randn(20, generator=Rng(seed).at("levels").generator()).double()
        return [pairs + level for pairs, level in zip(drawn(20, 10, seed=seed), levels, strict=True)]

    areas, halves = [], []
    for seed in range(60):
        values = area_by_task(some(seed))
        areas.append(statistics.fmean(values))
        halves.append(statistics.stdev(values) / math.sqrt(len(values)))
    assert statistics.fmean(halves) == pytest.approx(statistics.stdev(areas), rel=0.3)


def test_verify_on_clouds(toys: Any) -> None:
    source = Episodes(toys.clouds(spread=0.5), ways=4, shots=2, queries=3, split="test")
    learner = plain().train()
    before = fingerprint(learner)
    found = verify(learner, source, tasks=30)
    assert found == verify(learner, source, tasks=30)  # the pairs are drawn by key
    assert learner.training and fingerprint(learner) == before == found.fingerprint
    assert found.accuracy[0] > 90 and found.auc[0] > 97 and found.equal_error[0] < 10
    assert (found.tasks, found.left_out, found.pairs) == (30, 0, 24)
    assert "best on 30 validation tasks" in str(found) and "clouds, test split, 4-way, inductive" in str(found)
    assert "30 tasks of 24 pairs" in str(found) and "accuracy" in str(found)
    noisy = verify(plain(), source.replaced(pool=toys.clouds(spread=8.0)), tasks=30)
    assert abs(noisy.auc[0] - 50) < 15


def test_the_threshold_is_that_of_validation_or_the_one_given(toys: Any) -> None:
    source = Episodes(toys.clouds(), ways=4, shots=1, queries=3, split="test")
    found = verify(plain(), source, tasks=10)
    assert verify(plain(), source.replaced(seed=0), tasks=10, threshold=found.threshold).accuracy == found.accuracy
    strict = verify(plain(), source, tasks=10, threshold=1.0)
    assert strict.accuracy == (50.0, 0.0) and strict.auc == found.auc
    assert "threshold 1, given" in str(strict)


def test_tasks_of_several_sizes(toys: Any) -> None:
    source = Episodes(toys.clouds(), ways=(2, 4), shots=(1, 3), queries=2, split="test")
    found = verify(plain(), source, tasks=12)
    assert "2–4-way" in str(found) and 8 < found.pairs < 16 and math.isfinite(found.auc[1])


class Broken(Siamese):
    """No similarity for some pairs."""

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        alike = super().similarity(a, b)
        return torch.where(alike.mean() > -7.6, alike, torch.nan)


def test_tasks_without_finite_similarities_are_left_out_and_said(toys: Any) -> None:
    source = Episodes(toys.clouds(), ways=3, shots=1, queries=2, split="test")
    found = verify(Broken(nn.Flatten(), objective="contrastive"), source, tasks=30, threshold=-7.0)
    assert found.left_out > 0 and found.tasks + found.left_out == 30
    assert f"{found.left_out} tasks left out" in str(found)


def test_errors(toys: Any, lines: Any) -> None:
    source = Episodes(toys.clouds(), ways=3, shots=1, queries=2, split="test")
    with pytest.raises(UserError, match=r"Prototypical has no similarity\(a, b\)"):
        verify(Prototypical(nn.Flatten()), source)
    with pytest.raises(UserError, match="at least two"):
        verify(plain(), source, tasks=1)
    with pytest.raises(UserError, match="cannot be judged there"):
        verify(plain(), source.validation)
    with pytest.raises(UserError, match="one class"):
        verify(plain(), source.replaced(ways=1), tasks=2)
    with pytest.raises(UserError, match="regression"):
        verify(plain(), lines, tasks=2)
    with pytest.raises(UserError, match="Of 2 validation tasks 0 had"):
        verify(Siamese(_Nothing(), objective="contrastive"), source, tasks=2)


class _Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.nan
