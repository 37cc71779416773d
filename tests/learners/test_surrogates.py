"""Surrogate gradients against plain loops written by hand, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quickstudy.contract import made_up_tasks
from quickstudy.learner import Learner
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.gradient.reptile import Reptile
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Task, stack

LIMIT = 1e-10


def tasks(kind: str) -> list[Task]:
    made = made_up_tasks(kind, count=3)
    return [tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, task) for task in made]


def net() -> nn.Sequential:
    with forked(Rng(3)):
        return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def output(weights: list[Tensor], x: Tensor) -> Tensor:
    return F.linear(F.relu(F.linear(x, weights[0], weights[1])), weights[2], weights[3])


def error(weights: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(output(weights, x), y) if y.is_floating_point() else F.cross_entropy(output(weights, x), y)


def by_hand(weights: list[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    fresh = [w.detach().clone().requires_grad_() for w in weights]
    return list(torch.autograd.grad(error(fresh, x, y), fresh))


def gradients(learner: Learner, batch: Task) -> list[Tensor]:
    learner.double().train()
    learner.zero_grad()
    learner.loss(batch).objective.mean().backward()
    return [p.grad for p in learner.parameters() if p.grad is not None]


def far(found: list[Tensor], expected: list[Tensor]) -> float:
    top = max(e.abs().max().item() for e in expected)
    return max((f - e).abs().max().item() for f, e in zip(found, expected, strict=True)) / top


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_fomaml_is_the_query_gradient_at_the_adapted_weights(kind: str) -> None:
    learner, lr, steps = MAML(net(), steps=4, lr=0.2, gradient="first-order"), 0.2, 4
    expected = [torch.zeros_like(p) for p in learner.net.parameters()]
    for task in tasks(kind):
        weights = [p.detach() for p in learner.net.parameters()]
        for _ in range(steps):
            weights = [
                w - lr * g for w, g in zip(weights, by_hand(weights, task.support.x, task.support.y), strict=True)
            ]
        for total, g in zip(expected, by_hand(weights, task.query.x, task.query.y), strict=True):
            total += g / 3
    assert far(gradients(learner, stack(tasks(kind))), expected) < LIMIT


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_second_order_maml_is_something_else(kind: str) -> None:
    batch = stack(tasks(kind))
    first = gradients(MAML(net(), steps=4, lr=0.2, gradient="first-order"), batch)
    assert far(gradients(MAML(net(), steps=4, lr=0.2), batch), first) > 1e-3


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_reptile_is_the_way_back_from_where_adam_went(kind: str) -> None:
    learner = Reptile(net(), steps=7, lr=0.01, batch=5)
    expected = [torch.zeros_like(p) for p in learner.net.parameters()]
    for task in tasks(kind):
        start = [p.detach() for p in learner.net.parameters()]
        weights, second = list(start), [torch.zeros_like(p) for p in start]
        x, y = torch.cat([task.support.x, task.query.x]), torch.cat([task.support.y, task.query.y])
        for step in range(7):
            rows = torch.arange(5 * step, 5 * step + 5) % len(x)
            for i, g in enumerate(by_hand(weights, x[rows], y[rows])):
                second[i] = 0.999 * second[i] + 0.001 * g * g
                weights[i] = weights[i] - 0.01 * g / (second[i] / (1 - 0.999 ** (step + 1)) + 1e-16).sqrt()
        for total, before, after in zip(expected, start, weights, strict=True):
            total += (before - after) / 3
    assert far(gradients(learner, stack(tasks(kind))), expected) < LIMIT


def test_reptile_walks_as_torch_adam_does() -> None:
    """The root is taken of the second moment plus eps squared, not eps added after: the same but for tiny gradients."""
    task = tasks("classification")[0]
    learner = Reptile(net(), steps=5, lr=0.01, batch=None).double().train()
    mine = learner.adapt(task.support).weights
    theirs = net()
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.0, 0.999))
    for _ in range(5):
        adam.zero_grad()
        F.cross_entropy(theirs(task.support.x), task.support.y).backward()
        adam.step()
    assert max((mine[n] - p).abs().max().item() for n, p in theirs.named_parameters()) < 1e-5
