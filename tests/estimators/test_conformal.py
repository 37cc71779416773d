"""Conformal sets: the same as by their definition, and they hold the right answer as often as is proved."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from quickstudy.errors import UserError
from quickstudy.estimators import FewShotClassifier, FewShotRegressor
from quickstudy.estimators.conformal import interval, label_sets, needed
from quickstudy.learners.baseline.nearest import NearestNeighbour

random = np.random.default_rng


def test_one_part_is_the_quantile_of_split_conformal() -> None:
    own, asked = random(0).normal(size=19), random(1).normal(size=(50, 3))
    quantile = np.sort(own)[17]  # the ceil(0.9 * 20) = 18th
    assert np.array_equal(label_sets([(own, asked)], 0.9, (50, 3)), asked <= quantile)
    centre = random(2).normal(size=(4, 1))
    lower, upper = interval(np.tile(centre, (19, 1, 1)), np.tile(np.abs(own)[:, None, None], (1, 4, 1)), 0.9)
    radius = np.sort(np.abs(own))[17]
    assert np.allclose(lower, centre - radius) and np.allclose(upper, centre + radius)


@pytest.mark.parametrize("level", [0.3, 0.5, 0.9, 0.95])
def test_many_parts_are_counted_one_by_one(level: float) -> None:
    draw = random(3)
    parts = [(draw.integers(5, size=m).astype(float), draw.integers(5, size=(7, 2)).astype(float)) for m in (1, 4, 6)]
    sets = label_sets(parts, level, (7, 2))
    for q in range(7):
        for c in range(2):
            better = sum(score < asked[q, c] for own, asked in parts for score in own)
            assert sets[q, c] == (better < needed(level, 11))


def test_interval_is_jackknife_plus() -> None:
    centres, radii = random(4).normal(size=(20, 6, 2)), np.abs(random(5).normal(size=(20, 6, 2)))
    lower, upper = interval(centres, radii, 0.8)  # the 17th of 20 from either side
    assert np.array_equal(lower, np.sort(centres - radii, 0)[20 - 17])
    assert np.array_equal(upper, np.sort(centres + radii, 0)[16])


@pytest.mark.parametrize("n", [0, 1, 8])
def test_too_few_examples_exclude_nothing(n: int) -> None:
    assert label_sets([(np.zeros(n), np.ones((2, 3)))], 0.9, (2, 3)).all()
    lower, upper = interval(np.zeros((n, 2, 1)), np.zeros((n, 2, 1)), 0.9)
    assert (lower == -np.inf).all() and (upper == np.inf).all()


@pytest.mark.parametrize("level", [0.0, 1.0, -1, 90, float("nan")])
def test_a_level_is_a_probability(level: float) -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        needed(level, 5)


def test_split_holds_exactly_as_often_as_is_proved() -> None:
    scores = random(6).normal(size=(40_000, 16))  # 15 examples and a query, exchangeable
    held = [label_sets([(row[:15], row[15:, None])], 0.8, (1, 1))[0, 0] for row in scores]
    assert abs(np.mean(held) - 13 / 16) < 4 * np.sqrt(13 / 16 * 3 / 16 / len(held))


# Through the estimators, over 80 tasks: two classes that overlap, and a plane with noise. What a task's sets hold
# differs from task to task by 0.1 or so, so the mean is known to 0.012.


def classification(task: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    draw = random(task)
    y = draw.integers(2, size=n)
    return draw.normal(size=(n, 2)) + y[:, None] * 1.5, y


def regression(task: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    draw = random(task)
    x = draw.normal(size=(n, 3))
    return x, x @ draw.normal(size=3) + draw.standard_t(3, size=n)


@pytest.mark.parametrize("aside", [True, False], ids=["calibrated", "left-out"])
def test_coverage_of_sets(aside: bool) -> None:
    held, sizes = [], []
    for task in range(80):
        x, y = classification(task, 70)
        model = FewShotClassifier(NearestNeighbour()).fit(x[:15], y[:15])
        # Once the two classes are there, all that follows is drawn alike.
        if len(model.classes_) < 2:
            continue
        model = model.calibrate(x[15:30], y[15:30]) if aside else model
        sets = model.predict_set(x[30:], level=0.8)
        held.append(sets[np.arange(40), y[30:]].mean())
        sizes.append(sets.mean())
    assert np.mean(held) > 0.8 - 0.03
    assert np.mean(sizes) < 0.95


@pytest.mark.parametrize(("aside", "folds"), [(True, 50), (False, 50), (False, 5)])
def test_coverage_of_intervals(aside: bool, folds: int) -> None:
    held = []
    for task in range(80):
        x, y = regression(task, 70)
        model = FewShotRegressor(folds=folds).fit(x[:15], y[:15])
        model = model.calibrate(x[15:30], y[15:30]) if aside else model
        ends = model.predict_interval(x[30:], level=0.8)
        assert np.isfinite(ends).all()
        held.append(((ends[:, 0] <= y[30:]) & (y[30:] <= ends[:, 1])).mean())
    assert 0.8 - 0.03 < np.mean(held) < 0.9
