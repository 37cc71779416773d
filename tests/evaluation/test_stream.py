"""Learners judged as streams: the protocol by hand, what counts, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quickstudy.errors import BadExamples, UserError
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.evaluation.protocols.stream import StreamResult, evaluate_stream
from quickstudy.learner import Learner
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypes, Prototypical
from quickstudy.learners.zero_shot.described import Described
from quickstudy.rng import Rng, forked
from quickstudy.state import fingerprint
from quickstudy.task import Task, take
from quickstudy.tasks.episodes import Episodes


@pytest.fixture
def stream(toys: Any) -> Episodes:
    return Episodes(toys.clouds(), ways=4, shots=5, queries=1, split="test")


def nearest() -> Prototypical:
    return Prototypical(nn.Flatten())


class Forgetting(Prototypical):
    """One that has to begin again with each example."""

    update = Learner.update


def counted(task: Task, right: list[float], most: int) -> list[float]:
    """Percent right by instance of a class, from one number an example."""
    met: dict[int, int] = {}
    by_instance: list[list[float]] = [[] for _ in range(most)]
    for label, value in zip(task.support.y.tolist(), right, strict=True):
        met[label] = met.get(label, 0) + 1
        if met[label] <= most:
            by_instance[met[label] - 1].append(value)
    return [100 * sum(values) / len(values) for values in by_instance]


@pytest.mark.parametrize("most", [3, 5])
def test_every_example_is_asked_for_before_it_is_told(stream: Episodes, most: int) -> None:
    learner, rows = nearest(), []
    for i in range(12):
        task = take(stream.sample(i, 1), 0)
        right = [1 / 4]
        for n in range(1, 20):
            state = learner.adapt(task.support.select(torch.arange(n)))
            right.append(float(learner.predict(state, task.support.x[n : n + 1]).argmax() == task.support.y[n]))
        rows.append(counted(task, right, most))
    found = evaluate_stream(learner, stream, tasks=12, most=most, batch=5)
    assert list(found.by_instance) == list(range(1, most + 1))
    for k, column in enumerate(zip(*rows, strict=True)):
        assert found.by_instance[k + 1] == pytest.approx(mean_interval(column))


def test_prototypes_gain_with_every_instance(stream: Episodes) -> None:
    found = evaluate_stream(nearest(), stream, tasks=100)
    first, second, *_, fifth = (value for value, _ in found.by_instance.values())
    # An unseen class is never named, so of the first instances only the credit of the very first example is left.
    assert first == pytest.approx(100 / 16)
    assert 60 < second < fifth - 5


def test_the_same_judgement_twice_whatever_the_batch(stream: Episodes) -> None:
    results = [evaluate_stream(nearest(), stream, tasks=20, batch=b) for b in (32, 32, 3)]
    assert len({str(dataclasses.replace(r, seconds=0.0)) for r in results}) == 1
    assert {r.manifest for r in results} == {stream.manifest(20)}


def test_a_learner_without_update_adapts_again(stream: Episodes) -> None:
    found, other = (evaluate_stream(learner, stream, tasks=6) for learner in (Forgetting(nn.Flatten()), nearest()))
    assert (found.protocol["updates"], other.protocol["updates"]) == (False, True)
    assert found.by_instance == other.by_instance


def test_gradient_learners_and_their_modes(stream: Episodes) -> None:
    with forked(Rng(0)):
        learner = MAML(nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)), steps=1).train()
    before = fingerprint(learner)
    found = evaluate_stream(learner, stream, tasks=3)
    assert (learner.training, fingerprint(learner), found.fingerprint) == (True, before, before)
    assert all(math.isfinite(half) for _, half in found.by_instance.values())


def test_tasks_of_many_shapes(toys: Any) -> None:
    source = Episodes(toys.clouds(), ways=(2, 4), shots=(1, 4), queries=1, split="test")
    found = evaluate_stream(nearest(), source, tasks=30, batch=7)
    assert list(found.by_instance) == [1, 2, 3, 4]
    alone = evaluate_stream(nearest(), source, tasks=30, batch=1)
    assert found.by_instance == alone.by_instance


class Silent(Prototypical):
    """Answers NaN to some examples."""

    def predict(self, state: Prototypes, x: Tensor) -> Tensor:
        return torch.where(x[:, :1] > 2.5, torch.nan, super().predict(state, x))


def test_tasks_without_an_answer_are_left_out_and_said(stream: Episodes) -> None:
    asked = stream.sample(0, 20).support.x[:, 1:, 0]
    lost = int((asked > 2.5).any(1).sum())
    found = evaluate_stream(Silent(nn.Flatten()), stream, tasks=20)
    assert 0 < found.left_out == lost < 20
    assert f"{lost} of 20 tasks left out" in str(found)


class Told(Episodes):
    """Episodes with a description of each class: its mean in the pool."""

    def sample(self, first: int, count: int) -> Task:
        task = super().sample(first, count)
        means = torch.stack([self.pool.x[self.pool.y == c].mean(0) for c in range(len(self.pool.classes))])
        return dataclasses.replace(task, description=means[task.origin.classes])  # type: ignore[union-attr]


def test_a_learner_that_reads_descriptions_is_asked_from_the_first_on(toys: Any) -> None:
    source = Told(toys.clouds(), ways=4, shots=2, queries=1, split="test")
    assert evaluate_stream(Described(nn.Flatten()), source, tasks=20).by_instance[1][0] > 90


def test_the_result_says_its_protocol(stream: Episodes) -> None:
    found = evaluate_stream(nearest(), stream, tasks=4, most=2)
    assert found.protocol == {
        "source": "clouds",
        "ways": 4,
        "shots": 5,
        "queries": 1,
        "split": "test",
        "seed": 0,
        "first": 0,
        "tasks": 4,
        "interval": "t over tasks",
        "transductive": False,
        "updates": True,
    }
    assert str(found).startswith("accuracy in % by instance of a class: 1: 6.2 ± 0.0, 2: ")
    assert str(found).endswith("(95% over 4 tasks)")
    table = json.loads(json.dumps(found.to_json()))
    assert table["by_instance"]["2"] == list(found.by_instance[2]) and table["learner"] == "Prototypical"
    assert isinstance(found, StreamResult)


def test_what_cannot_be_judged_is_refused(stream: Episodes, lines: Any) -> None:
    with pytest.raises(UserError, match="0 instances; all must be at least one"):
        evaluate_stream(nearest(), stream, most=0)
    with forked(Rng(0)), pytest.raises(UserError, match="these are regressions; use evaluate"):
        evaluate_stream(MAML(nn.Linear(1, 1)), lines, tasks=2)
    with pytest.raises(BadExamples, match=r"inputs shaped \(20,\)"):
        evaluate_stream(Prototypical(nn.Linear(3, 3)), stream, tasks=2)
