"""The meta-gradient of MAML and its kin against finite differences, and looped against vectorised."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quickstudy.contract import made_up_tasks
from quickstudy.engine.plan import Plan
from quickstudy.evaluation.probes.gradients import looped_and_vectorised, meta_gradient
from quickstudy.learner import Learner
from quickstudy.learners.gradient.maml import MAML
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Task, stack


def tasks(kind: str = "classification", feature: tuple[int, ...] = (8,)) -> list[Task]:
    return [
        tree_map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf, task)
        for task in made_up_tasks(kind, feature=feature, count=3)
    ]


def dense(activation: type[nn.Module] = nn.Tanh, *, norm: bool = False) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), activation(), nn.Linear(6, 3))


def conv() -> nn.Module:
    layers = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)]
    return nn.Sequential(*layers)


def learner(net: nn.Module, **options: object) -> Learner:
    return MAML(net, **options).double()  # type: ignore[arg-type]


def made(name: str) -> Learner:
    with forked(Rng(1)):
        return {
            "maml": lambda: learner(dense(), steps=3, lr=0.3),
            "maml, relu": lambda: learner(dense(nn.ReLU), steps=3, lr=0.3),
            "maml, learned rates": lambda: learner(dense(), steps=3, lr=0.3, rule="layer-rates"),
            "anil": lambda: learner(dense(), steps=3, lr=0.3, moves="head"),
            "anil, learned rates": lambda: learner(dense(), steps=3, lr=0.3, moves="head", rule="layer-rates"),
            "maml, norm, support": lambda: learner(dense(norm=True), steps=3, lr=0.3),
            "maml, norm, batch": lambda: learner(dense(norm=True), steps=3, lr=0.3, statistics="batch"),
        }[name]()


DENSE = [
    "maml",
    "maml, relu",
    "maml, learned rates",
    "anil",
    "anil, learned rates",
    "maml, norm, support",
    "maml, norm, batch",
]


@pytest.mark.parametrize("how", ["loop", "vmap"])
@pytest.mark.parametrize("name", DENSE)
def test_meta_gradient_agrees_with_finite_differences(name: str, how: str) -> None:
    one = made(name)
    one.plan = Plan(how, 64, "test")  # type: ignore[arg-type]
    found = meta_gradient(one, tasks())
    assert found.passed
    assert found.value is not None
    assert found.value < 1e-6


@pytest.mark.parametrize("name", ["maml", "anil"])
def test_meta_gradient_of_a_regression(name: str) -> None:
    assert meta_gradient(made(name), tasks("regression")).passed


def test_meta_gradient_through_convolutions_norm_and_pooling() -> None:
    with forked(Rng(2)):
        one = learner(conv(), steps=2, lr=0.2)
    assert meta_gradient(one, tasks(feature=(1, 6, 6))).passed
    assert looped_and_vectorised(one, tasks(feature=(1, 6, 6))).passed


@pytest.mark.parametrize("name", DENSE)
def test_a_looped_meta_batch_equals_a_vectorised_one(name: str) -> None:
    found = looped_and_vectorised(made(name), tasks())
    assert found.value is not None
    assert found.value < 1e-10


def test_chunks_change_nothing() -> None:
    one, batch = made("maml"), stack(tasks())
    found = []
    for chunk in (1, 2, 64):
        one.plan = Plan("vmap", chunk, "test")
        found.append(one.loss(batch).objective)
    assert all(torch.allclose(found[0], other, rtol=1e-12, atol=0) for other in found[1:])
