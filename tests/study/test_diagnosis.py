"""Diagnoses of learners against computations of their own, and against sources in which the answer is planted."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from quickstudy.errors import UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.result import Result
from quickstudy.learner import Learner, metric
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.baseline.majority import Majority
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.rng import Rng
from quickstudy.study.diagnosis import against_pooling, overfitting, part_of, variety, wrong_labels
from quickstudy.study.diagnosis.diagnosis import unpaired
from quickstudy.study.diagnosis.growth import power_law
from quickstudy.study.diagnosis.mislabelled import mislabelled
from quickstudy.task import take, trim
from quickstudy.tasks.class_groups import ClassGroups
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.functions import Sinusoids
from quickstudy.tasks.groups import Groups
from quickstudy.tasks.pool import Pool

SIDES = ("train", "train", "validation", "test")


def clouds(*, classes: int = 40, spread: float = 1.0, **options: Any) -> Episodes:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, 8, generator=generator)
    y = torch.arange(classes).repeat_interleave(12)
    x = centres[y] + spread * torch.randn(len(y), 8, generator=generator)
    names = tuple(f"c{c:02d}" for c in range(classes))
    pool = Pool("clouds", x, y, names, names, tuple(SIDES[c % 4] for c in range(classes)))
    return Episodes(pool, **{"ways": 3, "shots": 4, "queries": 4} | options)


def lines(*, spread: float = 0.1) -> Groups:
    """16 groups, each a straight line of its own; train slopes are 0, those of others are not."""
    generator = torch.Generator().manual_seed(1)
    group = torch.arange(16).repeat_interleave(30)
    x = torch.randn(480, 1, generator=generator)
    slope = torch.tensor([0.0 if SIDES[g % 4] == "train" else 5.0 + 0.1 * g for g in range(16)])
    y = slope[group].unsqueeze(1) * x + spread * torch.randn(480, 1, generator=generator)
    return Groups("lines", x, y, group, tuple(SIDES[g % 4] for g in range(16)), shots=6, queries=8)


def domains(labels: Any = "shared", **options: Any) -> ClassGroups:
    generator = torch.Generator().manual_seed(2)
    group = torch.arange(16).repeat_interleave(24)
    y = torch.arange(384) % 3
    if labels == "local":
        y[(group % 2 == 0) & (y == 2)] = 1  # half of the groups have two classes, so batches are padded
    x = torch.randn(16, 3, 5, generator=generator)[group, y] + torch.randn(384, 5, generator=generator)
    sides = tuple(SIDES[g % 4] for g in range(16))
    options = {"shots": 4, "queries": 3, "labels": labels} | options
    return ClassGroups("domains", x, y, group, sides, classes=("a", "b", "c"), **options)


def with_values(result: Result, values: np.ndarray) -> Result:
    return dataclasses.replace(result, values=tuple(values.tolist()), value=float(values.mean()))


# --- against pooling


@pytest.fixture(scope="module")
def judged() -> Result:
    return evaluate(NearestNeighbour(), clouds().validation, tasks=30)


def test_meta_training_pays_when_it_beats_every_rival(judged: Result) -> None:
    random = np.random.default_rng(0)
    mine = random.normal(80, 5, 30)
    rivals = {name: with_values(judged, mine - gap + random.normal(0, 2, 30)) for name, gap in (("a", 6), ("b", 3))}
    found = against_pooling(with_values(judged, mine), rivals, name="ours")
    assert found.figures["verdict"] == "pays" and found.figures["strongest"] == "b"
    test = scipy.stats.ttest_rel(mine, rivals["b"].values)
    interval = test.confidence_interval(0.95)
    told = next(row for row in found.figures["others"] if row["name"] == "b")
    assert told["p"] == pytest.approx(test.pvalue)
    assert told["ci95"] == pytest.approx((interval.high - interval.low) / 2)
    assert "ours is better than b" in found.sentence and "strongest of 2" in found.sentence
    json.dumps(found.figures, allow_nan=False)


def test_a_loss_has_to_be_clearer_the_more_rivals_there_are(judged: Result) -> None:
    difference = np.random.default_rng(1).normal(0, 1, 30)
    difference += scipy.stats.t.isf(0.015, 29) * difference.std(ddof=1) / math.sqrt(30) - difference.mean()  # p = 0.03
    mine, better = with_values(judged, np.full(30, 70.0)), with_values(judged, 70 + difference)
    assert against_pooling(mine, {"a": better}).figures["verdict"] == "does not pay"
    assert against_pooling(mine, {"a": better, "b": mine}).figures["verdict"] == "unclear"


def test_pooling_needs_rivals_over_the_same_tasks(judged: Result) -> None:
    with pytest.raises(UserError, match="nothing to compare"):
        against_pooling(judged, {})
    with pytest.raises(UserError, match="not over the same tasks"):
        against_pooling(judged, {"a": evaluate(NearestNeighbour(), clouds().test, tasks=30)})


# --- overfitting


class Known(nn.Module):
    """Tells training classes apart, which are its numbers below 20, and no others."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(x[:, 0].long().clamp(max=20), 21).to(x.dtype)


def numbered() -> Episodes:
    y = torch.arange(40).repeat_interleave(8)
    names = tuple(f"c{c:02d}" for c in range(40))
    sides = ("train",) * 20 + ("validation",) * 10 + ("test",) * 10
    return Episodes(Pool("numbered", y.unsqueeze(1).float(), y, names, names, sides), ways=2, shots=2, queries=4)


def test_what_only_knows_training_classes_overfits() -> None:
    found = overfitting(Prototypical(Known()), numbered(), 40)
    train, new = (evaluate(Prototypical(Known()), numbered().of(s), tasks=40).values for s in ("train", "validation"))
    assert found.figures["overfits"] and found.figures["train"]["value"] == 100
    assert found.figures["loss"] == pytest.approx(np.mean(train) - np.mean(new))
    assert "worse on tasks" in found.sentence and "95%, unpaired" in found.sentence
    assert not overfitting(Prototypical(nn.Identity()), clouds(), 60).figures["overfits"]


def test_groups_count_once_each_however_often_they_are_met() -> None:
    found = overfitting(Majority(), lines(), 100)
    assert found.figures["metric"] == "mse" and found.figures["overfits"]
    assert (found.figures["train"]["tasks"], found.figures["validation"]["tasks"]) == (8, 4)
    result = evaluate(Majority(), lines().validation, tasks=100)
    groups = lines().validation.sample(0, 100).origin.group
    each = [np.mean([v for v, h in zip(result.values, groups.tolist(), strict=True) if h == g]) for g in (2, 6, 10, 14)]
    assert sorted(found.figures["validation"]["values"]) == pytest.approx(sorted(each))


def test_one_validation_group_allows_no_claim() -> None:
    source = lines()
    sides = tuple("" if side == "validation" and g > 2 else side for g, side in enumerate(source.sides))
    found = overfitting(Majority(), source.replaced(sides=sides), 10)
    assert "cannot be told" in found.sentence and found.figures["ci95"] is None and not found.figures["overfits"]


def test_unpaired_is_welchs_interval_with_whole_degrees_of_freedom() -> None:
    random = np.random.default_rng(0)
    for a, b in ((random.normal(1, 2, 12), random.normal(0, 5, 30)), (random.normal(0, 1, 3), random.normal(0, 1, 9))):
        difference, half = unpaired(a.tolist(), b.tolist())
        test = scipy.stats.ttest_ind(a, b, equal_var=False)
        error = (a.mean() - b.mean()) / test.statistic
        assert difference == pytest.approx(a.mean() - b.mean())
        assert half == pytest.approx(abs(error) * scipy.stats.t.ppf(0.975, math.floor(test.df)))


# --- variety


@pytest.mark.parametrize("source", [clouds(), domains(), domains("local"), lines()], ids=lambda s: s.name)
def test_parts_are_nested_and_leave_the_other_sides_alone(source: Any) -> None:
    def mine(part: Any) -> set[int]:
        sides = part.pool.split if isinstance(part, Episodes) else part.sides
        return {i for i, side in enumerate(sides) if side == "train"}

    whole, half, less = (mine(part_of(source, share, seed=3)) for share in (1.0, 0.5, 0.3))
    assert whole == mine(source) and less < half < whole
    assert (len(half), len(less)) == (math.ceil(len(whole) * 0.5), math.ceil(len(whole) * 0.3))
    assert len({frozenset(mine(part_of(source, 0.5, seed=seed))) for seed in range(8)}) > 4
    part = part_of(source, 0.5, seed=3)
    for split in ("validation", "test"):
        a, b = source.of(split).sample(0, 8), part.of(split).sample(0, 8)
        assert torch.equal(a.support.x, b.support.x) and torch.equal(a.query.y, b.query.y)
    origin = part.train.sample(0, 50).origin
    used = origin.classes if isinstance(source, Episodes) else origin.group
    assert set(used.flatten().tolist()) <= half


def test_there_is_no_part_of_what_has_no_number() -> None:
    with pytest.raises(UserError, match="no part"):
        part_of(Sinusoids(), 0.5)
    with pytest.raises(UserError, match="above 0"):
        part_of(clouds(), 0.0)


def test_the_power_law_is_least_squares_in_logarithms() -> None:
    numbers, mean = [10, 20, 40, 80], np.array([40.0, 27.0, 22.0, 13.0])
    errors = torch.tensor(mean).repeat(50, 1)  # all tasks alike: only the scatter of the points is left
    law = power_law(numbers, errors)
    fit = scipy.stats.linregress(np.log(numbers), np.log(mean))
    assert law is not None and law.slope == pytest.approx(fit.slope)
    assert law.half == pytest.approx(scipy.stats.t.ppf(0.975, 2) * fit.stderr)
    ends = [math.exp(fit.intercept + fit.slope * math.log(n)) for n in (80, 160)]
    assert (law.end, law.gain) == (pytest.approx(ends[0]), pytest.approx(ends[0] - ends[1]))
    worst = law.end * (1 - 2 ** (law.slope + law.half))
    assert law.gain_half == pytest.approx(law.gain - worst)


def test_few_tasks_make_the_slope_uncertain_even_where_the_points_lie_on_a_line() -> None:
    random = np.random.default_rng(0)
    hard = random.uniform(10, 50, 400)
    noise = random.normal(0, 4, (400, 3))
    errors = hard[:, None] * np.array([1.0, 0.5, 0.25]) + noise - noise.mean(0)
    law = power_law([10, 20, 40], torch.tensor(errors))
    assert law is not None and law.slope == pytest.approx(-1.0)

    def slope(rows: np.ndarray) -> float:
        return float(np.polyfit(np.log([10, 20, 40]), np.log(errors[rows].mean(0)), 1)[0])

    drawn = [slope(random.integers(0, 400, 400)) for _ in range(2000)]  # the bootstrap over tasks
    assert law.half == pytest.approx(1.96 * np.std(drawn), rel=0.1)


def test_two_points_or_no_error_say_nothing() -> None:
    law = power_law([10, 20], torch.tensor([[4.0, 2.0], [5.0, 2.0]]))
    assert law is not None and law.half == math.inf
    assert power_law([10, 20], torch.tensor([[4.0, 0.0]])) is None
    assert power_law([10, 10], torch.tensor([[4.0, 2.0]])) is None


class Seen(nn.Module):
    """Projects on the directions in which the classes that it was trained on differ."""

    def __init__(self, means: Tensor):
        super().__init__()
        self.register_buffer("basis", torch.linalg.qr(means.T).Q)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.basis


def directions() -> Episodes:
    """Classes differ in 64 of 256 directions, none of which is known; all others only disturb."""
    generator = torch.Generator().manual_seed(5)
    y = torch.arange(160).repeat_interleave(8)
    centres = torch.zeros(160, 256)
    centres[:, :64] = 2 * torch.randn(160, 64, generator=generator)
    turn = torch.linalg.qr(torch.randn(256, 256, generator=generator)).Q
    x = (centres[y] + 3 * torch.randn(len(y), 256, generator=generator)) @ turn
    names = tuple(f"c{c:03d}" for c in range(160))
    sides = ("train",) * 64 + ("validation",) * 96
    return Episodes(Pool("directions", x, y, names, names, sides), ways=5, shots=1, queries=5)


def learned(source: Any) -> Learner:
    pool = source.pool
    return Prototypical(Seen(torch.stack([pool.x[pool.y == c].mean(0) for c in pool.members("train").tolist()])))


def test_where_variety_matters_it_is_claimed_and_foretold() -> None:
    whole = directions()
    half = part_of(whole, 0.5, seed=9)  # what is known; the other half is what twice as many would be
    found = variety(learned, half, (0.25, 0.5, 1.0), tasks=150, repeats=3)
    figures = found.figures
    assert [row["number"] for row in figures["points"]] == [8] * 3 + [16] * 3 + [32]
    assert figures["claim"] and figures["law"]["gain"] > 0 and "More variety helps" in found.sentence
    truth = 100 - evaluate(learned(whole), whole.validation, tasks=150).value
    assert abs(figures["twice"]["error"] - truth) < 3 * figures["law"]["gain_half"] + 2
    assert "past classes" in found.sentence and figures["twice"]["number"] == 64
    json.dumps(figures, allow_nan=False)


def test_variety_that_does_not_matter_is_not_claimed() -> None:
    found = variety(lambda part: LinearProbe(), lines(), tasks=40)
    assert not found.figures["claim"] and "three points allow no claim" in found.sentence
    assert [row["number"] for row in found.figures["points"]] == [2, 4, 8] and found.figures["metric"] == "mse"


def test_variety_keeps_to_its_budget_and_says_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def fit(part: Any) -> Learner:
        clock[0] += 10
        return Prototypical(nn.Identity())

    found = variety(fit, clouds(), (0.1, 0.25, 0.5, 1.0), tasks=20, seconds=25)
    assert [row["share"] for row in found.figures["points"]] == [0.25, 1.0]
    whys = {row["share"]: row["why"] for row in found.figures["left_out"]}
    assert "needs 3 classes" in whys[0.1] and "no time left" in whys[0.5]
    assert "two points allow no claim" in found.sentence and "unknown" in found.sentence


# --- wrong labels


@pytest.mark.parametrize("source", [clouds(), clouds(ways=(2, 4), shots=(1, 4)), domains("local"), lines()])
def test_no_wrong_labels_cost_exactly_nothing(source: Any) -> None:
    learner = NearestNeighbour(k=2)
    found = wrong_labels(learner, source, (0.0,), 30)
    (point,) = found.figures["points"]
    assert (point["loss"], point["loss_ci95"], point["wrong"]) == (0.0, 0.0, 0.0)
    if isinstance(source, Episodes):
        assert found.figures["clean"]["value"] == pytest.approx(evaluate(learner, source.validation, tasks=30).value)


def test_wrong_labels_cost_what_a_plain_loop_finds() -> None:
    source, learner = clouds().validation, Prototypical(nn.Identity())
    found = wrong_labels(learner, source, (0.1, 0.2), 40, batch=7, seed=5)
    lost = []
    for episode in range(40):
        clean = source.sample(episode, 1)
        spoiled, _ = mislabelled(clean, 0.2, [episode], Rng(5).at("wrong labels"))
        scores = []
        for task in (take(clean, 0), take(spoiled, 0)):
            state = learner.adapt(task.support)
            scores.append(100 * float(metric(learner.predict(state, task.query.x), task.query)))
        lost.append(scores[0] - scores[1])
    point = found.figures["points"][1]
    test = scipy.stats.t.interval(0.95, 39, np.mean(lost), scipy.stats.sem(lost))
    assert point["loss"] == pytest.approx(np.mean(lost)) and point["loss"] > 0
    assert point["loss_ci95"] == pytest.approx((test[1] - test[0]) / 2)
    assert found.figures == wrong_labels(learner, source, (0.1, 0.2), 40, batch=40, seed=5).figures


@pytest.mark.parametrize("source", [clouds(), clouds(ways=(2, 4), shots=(1, 4)), domains("local"), domains()])
def test_wrong_labels_are_other_classes_of_the_task_and_nested(source: Any) -> None:
    clean, rng = source.validation.sample(0, 300), Rng(0)
    some, more = (mislabelled(clean, share, range(300), rng) for share in (0.1, 0.35))
    wrong = [spoiled.support.y != clean.support.y for spoiled, _ in (some, more)]
    assert bool((wrong[0] <= wrong[1]).all())
    mask = torch.ones_like(wrong[0]) if clean.support.mask is None else clean.support.mask
    for (_, count), where, share in zip((some, more), wrong, (0.1, 0.35), strict=True):
        assert count == int(where.sum()) and not bool((where & ~mask).any())
        each = mask.sum(1) * share
        assert bool(((where.sum(1) - each).abs() < 1).all())
        assert float(where.sum() / mask.sum()) == pytest.approx(share, abs=0.02)
    for i in range(50):
        assert set(trim(take(more[0], i)).support.y.tolist()) <= set(trim(take(clean, i)).support.y.tolist())


def test_every_other_class_and_row_is_as_likely() -> None:
    clean = clouds(ways=4).validation.sample(0, 2000)
    spoiled, _ = mislabelled(clean, 1.0, range(2000), Rng(1))
    table = torch.zeros(4, 4).index_put(
        (clean.support.y.flatten(), spoiled.support.y.flatten()), torch.ones(()), accumulate=True
    )
    assert bool((table.diagonal() == 0).all())
    assert scipy.stats.chisquare(table[~torch.eye(4, dtype=torch.bool)].numpy()).pvalue > 1e-3
    clean = lines().validation.sample(0, 500)
    spoiled, _ = mislabelled(clean, 1.0, range(500), Rng(1))
    same = spoiled.support.y == clean.support.y.transpose(1, 2)
    assert bool((same.sum(2) == 1).all()) and not bool(same.diagonal(dim1=1, dim2=2).any())


def test_wrong_labels_need_shares_and_tasks_that_fit() -> None:
    with pytest.raises(UserError, match="shares from 0 to 1"):
        wrong_labels(LinearProbe(), clouds(), (1.5,))
    with pytest.raises(UserError, match="serves classification"):
        wrong_labels(Prototypical(nn.Identity()), lines())


def test_one_shot_may_lose_a_class_altogether() -> None:
    found = wrong_labels(Prototypical(nn.Identity()), clouds(shots=1, ways=2, spread=0.1), (0.5,), 40)
    (point,) = found.figures["points"]
    assert point["wrong"] == 0.5 and found.figures["episodes_left_out"] == 0
    assert point["value"] == pytest.approx(50, abs=1)  # all queries are given the class that is left
