"""Paired comparison, against scipy and in plain words."""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Any

import pytest
from scipy import stats
from torch import nn

from quickstudy.errors import UserError
from quickstudy.evaluation.compare import compare
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.evaluation.result import Result
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.tasks.episodes import Episodes


def result(values: list[float | None], metric: str = "accuracy", **changes: Any) -> Result:
    known = [v for v in values if v is not None]
    mean, half = mean_interval(known)
    made = Result(
        tasks=len(values),
        metric=metric,
        value=mean,
        ci95=half,
        median=mean,
        values=tuple(values),
        episodes=tuple(f"{i:08x}" for i in range(len(values))),
        diverged=0.0,
        left_out=len(values) - len(known),
        ece=None,
        nll=None,
        protocol={"ways": 5, "shots": 1, "seed": 0, "first": 0, "transductive": False},
        manifest="same",
        learner="Toy",
        fingerprint="",
        seconds=0.0,
    )
    return dataclasses.replace(made, **changes)


def noisy(count: int, gain: float, spread: float = 1.0) -> tuple[list[float], list[float]]:
    draw = random.Random(0)
    hard = [draw.gauss(70, 15) for _ in range(count)]
    return [h + gain + draw.gauss(0, spread) for h in hard], hard


def test_differences_are_paired() -> None:
    a, b = noisy(200, 1.0)
    found = compare(result(a), result(b))
    theirs = stats.ttest_rel(a, b)
    low, high = theirs.confidence_interval(0.95)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-8)
    assert (found.difference - found.ci95, found.difference + found.ci95) == pytest.approx((low, high))
    assert (found.better, found.more, found.significant) == ("A", None, True)
    assert re.fullmatch(r"A is better than B by 1\.\d points ± 0\.1 on the same 200 tasks \(95%, paired\)", str(found))


def test_names_and_direction() -> None:
    a, b = noisy(200, 1.0)
    found = compare(result(b), result(a), names=("maml", "nearest"))
    assert found.difference < 0
    assert found.sentence.startswith("nearest is better than maml by 1.")


def test_a_lower_error_is_better() -> None:
    a, b = noisy(50, 1.0)
    found = compare(result(a, "mse"), result(b, "mse"))
    assert found.better == "B"
    assert found.difference < 0
    assert "in mse on the same 50 tasks" in found.sentence


def test_what_cannot_be_told_apart_says_how_many_more_tasks_would() -> None:
    a, b = noisy(40, 0.5, 5.0)
    found = compare(result(a), result(b))
    assert found.better is None
    assert found.more is not None
    assert f"about {found.more:,} more tasks would settle it" in found.sentence
    spread = stats.tstd([x - y for x, y in zip(a, b, strict=True)])

    def half(count: int) -> float:
        return float(stats.t.ppf(0.975, count - 1) * spread / count**0.5)

    assert half(40 + found.more) < abs(found.difference)
    assert half(int(0.98 * (40 + found.more))) > abs(found.difference)


def test_equal_results_are_said_to_be_equal() -> None:
    a, _ = noisy(10, 0.0)
    found = compare(result(a), result(a))
    assert (found.p, found.better, found.more) == (1.0, None, None)
    assert "A and B do equally well on the same 10 tasks" in found.sentence
    constant = compare(result([2.0, 3.0]), result([1.0, 2.0]))
    assert (constant.p, constant.better) == (0.0, "A")


def test_tasks_without_an_answer_are_left_out_of_both() -> None:
    found = compare(result([1.0, None, 3.0, 4.0]), result([1.0, 2.0, None, 2.0]))
    assert found.tasks == 2
    assert "2 left out" in found.sentence


def test_other_tasks_are_refused_and_named() -> None:
    a = result([1.0, 2.0, 3.0])
    other = dataclasses.replace(a, manifest="other", episodes=(a.episodes[0], "ffffffff", "eeeeeeee"))
    with pytest.raises(
        UserError, match=r"3 tasks against 3, and 2 of the first 3 differ, beginning with number 1\..*the data differ"
    ):
        compare(a, other)
    shots = dataclasses.replace(other, protocol={**a.protocol, "shots": 5})
    with pytest.raises(UserError, match="protocols differ in shots 1 and 5"):
        compare(a, shots)
    fewer = result([1.0, 2.0], manifest="fewer")
    with pytest.raises(UserError, match="3 tasks against 2"):
        compare(a, fewer)
    with pytest.raises(UserError, match="One result is in accuracy, the other in mse"):
        compare(a, result([1.0, 2.0, 3.0], "mse"))
    with pytest.raises(UserError, match="at least two"):
        compare(result([1.0]), result([2.0]))


def test_two_learners_that_met_the_same_tasks(source: Episodes) -> None:
    good = evaluate(Prototypical(nn.Flatten()), source, tasks=60)
    poor = evaluate(MAML(nn.Linear(20, 4), steps=0), source, tasks=60)
    found = compare(good, poor, names=("prototypes", "no steps"))
    assert found.better == "prototypes"
    with pytest.raises(UserError, match="seed 0 and 1"):
        compare(good, evaluate(Prototypical(nn.Flatten()), source.replaced(seed=1), tasks=60))
