"""Two learners beside each other: weighed by hand, trained over tasks, and refused where they do not go together."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from quickstudy.contract import check_learner, made_up_tasks
from quickstudy.errors import UserError
from quickstudy.learners.baseline.linear import LinearProbe
from quickstudy.learners.baseline.majority import Majority
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.learners.baseline.pooled import Pooled
from quickstudy.learners.bayesian.deep_kernel import DeepKernel
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.learners.stacking.beside import Beside
from quickstudy.learners.standardised import Standardised
from quickstudy.loops.meta_train import meta_train
from quickstudy.outputs import Gaussian
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool


def both(kind: str) -> Beside:
    if kind == "regression":
        return Beside(DeepKernel(nn.Flatten(), noise=0.5), Majority())
    return Beside(Prototypical(nn.Flatten()), Beside(NearestNeighbour(), Majority()))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_it_keeps_the_contract(kind: str) -> None:
    assert all(found.passed is not False for found in check_learner(both(kind), kind=kind))


def test_classes_get_a_weighted_sum_of_log_probabilities() -> None:
    task = made_up_tasks("classification")[0]
    learner = Beside(Prototypical(nn.Flatten()), LinearProbe())
    with torch.no_grad():
        learner.log_weights.copy_(torch.tensor([0.1, -0.7]))
        learner.growth.copy_(torch.tensor([-0.2, 0.3]))
    n = len(task.support)
    parts = [
        part.predict(part.adapt(task.support), task.query.x).log_softmax(-1) for part in (learner.first, learner.second)
    ]
    wanted = math.exp(0.1) * n**-0.2 * parts[0] + math.exp(-0.7) * n**0.3 * parts[1]
    torch.testing.assert_close(learner.predict(learner.adapt(task.support), task.query.x), wanted)


def test_regressions_are_answered_with_the_moments_of_the_mixture() -> None:
    task = made_up_tasks("regression")[0]
    learner = Beside(DeepKernel(nn.Flatten(), noise=0.5), DeepKernel(nn.Flatten(), lengthscale=3.0))
    with torch.no_grad():
        learner.log_weights.copy_(torch.tensor([math.log(3.0), 0.0]))
    one, other = (part.predict(part.adapt(task.support), task.query.x) for part in (learner.first, learner.second))
    found = learner.predict(learner.adapt(task.support), task.query.x)
    assert isinstance(one, Gaussian) and isinstance(other, Gaussian) and isinstance(found, Gaussian)
    mean = 0.75 * one.mean + 0.25 * other.mean
    second = 0.75 * (one.variance + one.mean**2) + 0.25 * (other.variance + other.mean**2)
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.variance, second - mean**2)


def test_it_learns_over_tasks_whom_to_trust_and_changes_neither() -> None:
    draws = torch.randn(240, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(240) // 12
    pool = Pool.of(draws + 3 * torch.randn(20, 4, generator=torch.Generator().manual_seed(1))[labels], labels)
    source = Episodes(pool, ways=4, shots=2, queries=4)
    encoder = nn.Linear(4, 1)  # sees one direction of four, so that the other learner is worth more
    learner = Beside(Prototypical(encoder), Prototypical(nn.Flatten()))
    before = [p.clone() for p in encoder.parameters()]
    losses = [
        record.loss
        for record in meta_train(learner, source, steps=60, tasks=8, optimizer=partial(torch.optim.Adam, lr=0.05))
    ]
    weights = learner.log_weights + learner.growth * math.log(8)
    assert weights[1] > weights[0] + 0.5 and sum(losses[-10:]) < sum(losses[:10])
    assert all(torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True))
    assert not learner.first.training and learner.training


def test_more_examples_are_counted() -> None:
    task = made_up_tasks("classification")[0]
    learner = Beside(Prototypical(nn.Flatten()), Majority())
    half = torch.arange(len(task.support)) < 5
    state = learner.update(learner.adapt(task.support.select(half)), task.support.select(~half))
    whole = learner.adapt(task.support)
    assert state.count == whole.count == len(task.support)
    torch.testing.assert_close(learner.predict(state, task.query.x), learner.predict(whole, task.query.x))


def test_those_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UserError, match="serves classification, Standardised regression: there is no task"):
        Beside(Prototypical(nn.Flatten()), Standardised(Majority()))
    task = made_up_tasks("classification")[0]
    learner = Beside(Prototypical(nn.Flatten()), Pooled(nn.Sequential(nn.Flatten(), nn.Linear(8, 9))))
    with pytest.raises(UserError, match="answer with 3 and 9 numbers"):
        learner.predict(learner.adapt(task.support), task.query.x)
