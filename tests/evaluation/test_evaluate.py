"""Evaluation: the number, its interval, its protocol, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quickstudy.engine.plan import Plan
from quickstudy.errors import BadExamples, BadFile, UserError
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.evaluation.metrics import calibration_bins, calibration_error, error_of_mean
from quickstudy.evaluation.result import Result
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypes, Prototypical
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, pad, take
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.source import content_hash


def nearest() -> Prototypical:
    return Prototypical(nn.Flatten())


def line_net(**options: Any) -> MAML:
    with forked(Rng(0)):
        return MAML(nn.Linear(1, 1), steps=2, lr=0.1, **options)


def test_accuracy_is_that_of_a_loop_by_hand(source: Episodes) -> None:
    learner = nearest()
    result = evaluate(learner, source, tasks=50, first=7, batch=8)
    expected = []
    for i in range(7, 57):
        task = take(source.sample(i, 1), 0)
        answers = learner.predict(learner.adapt(task.support), task.query.x).argmax(1)
        expected.append(100 * (answers == task.query.y).double().mean().item())
    assert result.values == pytest.approx(expected, rel=1e-5)
    assert (result.value, result.ci95) == pytest.approx(mean_interval(expected), rel=1e-6)
    assert (result.metric, result.tasks, result.left_out, result.diverged) == ("accuracy", 50, 0, 0.0)
    assert result.manifest == source.manifest(50, first=7)
    assert result.score == result.value


def test_the_result_says_its_protocol(source: Episodes) -> None:
    result = evaluate(nearest(), source, tasks=20)
    assert result.protocol == {
        "source": "clouds",
        "ways": 4,
        "shots": 2,
        "queries": 3,
        "split": "test",
        "seed": 0,
        "first": 0,
        "tasks": 20,
        "queries_per_task": 12.0,
        "interval": "t over tasks",
        "transductive": False,
    }
    assert result.learner == "Prototypical"
    assert str(result).endswith("(95% over 20 tasks; 4-way 2-shot, inductive)")
    assert "% ± " in str(result)


def test_a_policy_of_batch_statistics_is_part_of_the_protocol(source: Episodes) -> None:
    net = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    result = evaluate(MAML(net, steps=1, statistics="batch"), source, tasks=4)
    assert result.protocol["batch_statistics"] == "batch"
    assert "4-way 2-shot, transductive" in str(result)


def test_no_batch_size_changes_a_result(source: Episodes) -> None:
    results = [evaluate(nearest(), source, tasks=30, batch=b) for b in (1, 7, 64)]
    assert {dataclasses.replace(r, seconds=0.0).manifest for r in results} == {results[0].manifest}
    assert all(r.values == results[0].values and r.episodes == results[0].episodes for r in results)


def test_tasks_of_many_shapes(toys: Any) -> None:
    source = Episodes(toys.clouds(), ways=(2, 5), shots=(1, 3), queries=2, split="test")
    result = evaluate(nearest(), source, tasks=20)
    assert "2–5-way 1–3-shot" in str(result)
    assert 4 < result.protocol["queries_per_task"] < 10
    assert result.manifest == source.manifest(20)
    assert evaluate(nearest(), source, tasks=20, batch=3).values == result.values


def test_the_learner_is_left_as_it_was(source: Episodes) -> None:
    learner = Prototypical(nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)))
    learner.train()
    learner.encoder[1].eval()
    learner.plan = Plan("loop", 3, "mine")
    before, random = {k: v.clone() for k, v in learner.state_dict().items()}, torch.get_rng_state()
    evaluate(learner, source, tasks=5)
    assert (learner.training, learner.encoder[1].training, learner.encoder[2].training) == (True, False, True)
    assert learner.plan == Plan("loop", 3, "mine")
    assert all(torch.equal(v, before[k]) for k, v in learner.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_the_mode_is_restored_after_an_error_too(source: Episodes) -> None:
    learner = Prototypical(nn.Linear(3, 3)).train()
    with pytest.raises(BadExamples, match=r"inputs shaped \(20,\)"):
        evaluate(learner, source, tasks=5)
    assert learner.training


def test_regression_is_in_raw_units_with_median_and_divergence(lines: Any) -> None:
    learner = line_net(test_steps=3)
    result = evaluate(learner, lines, tasks=40)
    expected, worse = [], 0
    for i in range(40):
        task = take(lines.sample(i, 1), 0)
        learner.eval()
        answers = learner.predict(learner.adapt(task.support), task.query.x)
        expected.append((answers - task.query.y).square().mean().item())
        worse += expected[-1] > (task.support.y.mean(0) - task.query.y).square().mean().item()
    assert result.values == pytest.approx(expected, rel=1e-4)
    assert result.diverged == worse / 40
    assert 0 < worse < 40
    assert (result.ece, result.nll) == (None, None)
    assert result.score == -result.value
    assert str(result).startswith("mse ")
    assert f", median {result.median:.2g} (95% over 40 tasks; 5-shot, {100 * worse / 40:.1f}% diverged)" in str(result)


def test_a_task_without_finite_answers_is_left_out_and_said(source: Episodes) -> None:
    class Sometimes(Prototypical):
        def predict(self, state: Prototypes, x: Tensor) -> Tensor:
            return super().predict(state, x) + torch.where(x[0, 0] > 0, torch.nan, 0.0)

    result = evaluate(Sometimes(nn.Flatten()), source, tasks=40)
    lost = [bool(take(source.sample(i, 1), 0).query.x[0, 0] > 0) for i in range(40)]
    assert [v is None for v in result.values] == lost
    assert result.left_out == sum(lost)
    assert result.diverged == sum(lost) / 40
    assert math.isfinite(result.value)
    assert result.nll is not None
    assert f"(95% over {40 - sum(lost)} tasks" in str(result)
    assert f"{sum(lost)} of 40 tasks left out, their answers were not finite" in str(result)


def test_without_any_answer_the_score_never_wins(source: Episodes) -> None:
    class Never(Prototypical):
        def predict(self, state: Prototypes, x: Tensor) -> Tensor:
            return super().predict(state, x) * torch.nan

    result = evaluate(Never(nn.Flatten()), source, tasks=4)
    assert result.score == -math.inf
    assert (result.left_out, result.diverged, result.values) == (4, 1.0, (None,) * 4)
    assert math.isnan(Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))).value)


def test_a_ruled_out_class_is_an_answer(source: Episodes) -> None:
    class Ruling(Prototypical):
        def predict(self, state: Prototypes, x: Tensor) -> Tensor:
            spare = torch.full((len(x), 1), -torch.inf)
            return torch.cat([super().predict(state, x), spare], 1)

    assert evaluate(Ruling(nn.Flatten()), source, tasks=4).left_out == 0


def test_calibration_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.1, 0.0], [0.0, 3.0], [0.0, 0.05]])
    query = Examples(torch.zeros(4, 1), torch.tensor([0, 1, 1, 1]), ways=2)
    confidence, label = logits.softmax(1).max(1)
    right = (label == query.y).float()
    bins = (confidence * 15).long()
    expected = sum(
        abs(float((confidence[bins == b] - right[bins == b]).sum())) / 4 for b in range(15) if bool((bins == b).any())
    )
    assert calibration_error(calibration_bins(logits, query)) == pytest.approx(expected, rel=1e-5)
    masked = dataclasses.replace(query, mask=torch.tensor([True, True, False, False]))
    assert calibration_bins(logits, masked)[0].sum() == 2


def test_the_baseline_of_a_regression_leaves_padding_out() -> None:
    support = Examples(torch.zeros(3, 1), torch.tensor([[1.0], [3.0], [99.0]]), torch.tensor([True, True, False]))
    query = Examples(torch.zeros(2, 1), torch.tensor([[2.0], [4.0]]))
    assert error_of_mean(Task(support, query)).item() == 2.0


def test_curves_over_shots_and_steps(source: Episodes, lines: Any) -> None:
    result = evaluate(nearest(), source, tasks=20, shots=(1, 2, 5))
    assert list(result.by_shots) == [1, 2, 5]
    assert result.by_shots[2] == (result.value, result.ci95)
    assert result.by_shots[5][0] > result.by_shots[1][0]
    learner = line_net(test_steps=3)
    result = evaluate(learner, lines, tasks=20, steps=(0, 3, 20))
    assert result.by_steps[3] == (result.value, result.ci95)
    assert result.by_steps[20][0] < result.by_steps[3][0] < result.by_steps[0][0]
    assert learner.test_steps == 3


def test_a_stochastic_learner_is_keyed_by_episode(source: Episodes) -> None:
    class Noisy(Prototypical):
        stochastic = True

        def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
            assert rng is not None
            state = super().adapt(support, description)
            return Prototypes(state.sums + torch.randn(state.sums.shape, generator=rng.generator()), state.counts)

    one, other = (evaluate(Noisy(nn.Flatten()), source, tasks=20, batch=b) for b in (3, 64))
    assert one.values == other.values
    assert evaluate(Noisy(nn.Flatten()), source, tasks=20, rng=Rng(1)).values != one.values


def test_a_result_survives_json(source: Episodes) -> None:
    result = evaluate(nearest(), source, tasks=10, shots=(1,))
    result = dataclasses.replace(result, audit={"passed": True})
    text = json.dumps(result.to_json(), allow_nan=False)
    assert Result.from_json(json.loads(text)) == result
    for broken in ({}, {"quickstudy": "state"}, {**result.to_json(), "format": 99}, {**result.to_json(), "more": 1}):
        with pytest.raises(BadFile, match="not a result"):
            Result.from_json(broken)


def test_one_task_has_a_value_of_unknown_width(source: Episodes) -> None:
    result = evaluate(nearest(), source, tasks=1)
    assert "± unknown (95% over 1 task;" in str(result)


def test_what_is_refused(source: Episodes, lines: Any) -> None:
    with pytest.raises(UserError, match="Asked for 0 tasks"):
        evaluate(nearest(), source, tasks=0)
    with pytest.raises(UserError, match="Prototypical serves classification, but these are tasks of regression"):
        evaluate(nearest(), lines, tasks=2)
    with pytest.raises(UserError, match="does not adapt by steps"):
        evaluate(nearest(), source, tasks=2, steps=(0, 1))
    with pytest.raises(BadExamples, match=r"MAML cannot take these tasks .* 4 classes"):
        evaluate(MAML(nn.Linear(20, 3)), source, tasks=2)
    with pytest.raises(BadExamples, match="for 4 queries it gives"):
        evaluate(MAML(nn.Linear(1, 2)), lines, tasks=2)


def test_a_broken_task_is_refused_before_it_is_used(source: Episodes, toys: Any) -> None:
    def spoil(task: Task, number: int) -> Task:
        x = task.support.x.clone()
        x[0, 0] = torch.nan if number == 2 else x[0, 0]
        return dataclasses.replace(task, support=dataclasses.replace(task.support, x=x))

    with pytest.raises(BadExamples, match="support input of row 0 holds NaN"):
        evaluate(nearest(), toys.Spoiled(source, spoil), tasks=5)


def test_padded_tasks_that_came_from_nowhere_are_told_apart_by_their_content() -> None:
    def task(value: float) -> Task:
        side = Examples(torch.full((2, 1), value), torch.tensor([0, 1]), ways=2)
        return Task(side, side)

    assert content_hash(pad([task(0.0)])) != content_hash(pad([task(1.0)]))
