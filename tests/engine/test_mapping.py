"""The engine: vectorised, looped and padded give the same numbers, and what cannot be vectorised says so once."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from quickstudy.engine import mapping
from quickstudy.engine.mapping import NotVectorised, map_tasks
from quickstudy.engine.memory import keep_freed_memory
from quickstudy.engine.plan import Plan, choose
from quickstudy.learners.gradient.maml import MAML
from quickstudy.rng import Rng, forked
from quickstudy.task import Examples, Task, pad, stack, take

LOOP, VMAP = Plan("loop", 1, "asked for"), Plan("vmap", 2, "asked for")


def tasks(count: int = 3, *, ways: int = 3, size: int = 8) -> Task:
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(count):
        x = torch.randn(3 * ways, 1, size, size, generator=generator, dtype=torch.float64)
        y = torch.arange(ways).repeat(3)
        made.append(Task(Examples(x[:ways], y[:ways], ways=ways), Examples(x[ways:], y[ways:], ways=ways)))
    return stack(made)


def net() -> nn.Sequential:
    with forked(Rng(0)):
        layers = [
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.Softplus(),
            nn.Conv2d(4, 4, 3),
            nn.BatchNorm2d(4),
            nn.Tanh(),
        ]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3)).double()


def gradient(learner: MAML, plan: Plan, batch: Task) -> Tensor:
    learner.plan = plan
    learner.zero_grad()
    learner.loss(batch).objective.sum().backward()
    return torch.cat([p.grad.flatten() for p in learner.parameters() if p.grad is not None])


@pytest.mark.parametrize("statistics", ["batch", "support"])
def test_batch_norm_has_the_right_second_order_gradient_when_vectorised(statistics: str) -> None:
    """Through `vmap`, torch's own batch norm is wrong by percents here; the loop agrees with finite differences."""
    learner = MAML(net(), steps=2, lr=0.1, statistics=statistics)
    looped, vectorised = (gradient(learner, plan, tasks()) for plan in (LOOP, VMAP))
    assert (looped - vectorised).norm() < 1e-10 * looped.norm()


def test_a_net_with_data_dependent_control_flow_is_looped_with_the_reason_said_once() -> None:
    class Undecided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.flatten(1)) * (2 if x.sum() > 0 else 1)

    learner = MAML(Undecided(), steps=1)
    learner.plan = VMAP
    mapping._SAID.clear()
    with pytest.warns(NotVectorised, match="MAML is run one task after another: .*data-dependent"):
        first = learner.loss(tasks()).objective
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = learner.loss(tasks()).objective
    learner.plan = LOOP
    assert torch.equal(first, again) and torch.equal(first, learner.loss(tasks()).objective)


def test_padding_changes_nothing() -> None:
    few, many = take(tasks(1, ways=2), 0), take(tasks(1, ways=3), 0)
    learner = MAML(net(), steps=1, statistics="support")
    alone = [learner.loss(stack([task])).objective[0] for task in (few, many)]
    together = learner.loss(pad([few, many])).objective
    assert torch.allclose(torch.stack(alone), together, rtol=1e-12)


def test_the_plan_is_a_rule_with_a_reason() -> None:
    conv, dense = MAML(net(), steps=1), MAML(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), steps=1)
    assert choose(dense, tasks()).how == "vmap"
    assert choose(conv, tasks()).how == "vmap" and "9 images" in choose(conv, tasks()).reason
    assert choose(conv, tasks(ways=3, size=8)) == choose(conv, tasks(ways=3, size=8))
    assert choose(MAML(nn.Sequential(nn.Dropout(), *net()), steps=1), tasks()).how == "loop"
    assert "GRU" in choose(MAML(nn.GRU(8, 3), steps=1), tasks()).reason
    wide = stack([Task(t.support.followed_by(t.query), t.query) for t in (take(tasks(1, ways=3), 0),) * 2])
    big = Task(wide.support, Examples(wide.query.x.repeat(1, 5, 1, 1, 1), wide.query.y.repeat(1, 5), ways=3))
    assert choose(conv, big).how == "loop"


def test_dropout_in_adapting_is_keyed_by_the_task() -> None:
    learner = MAML(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3).double()), steps=1)
    one, same, other = (learner.loss(tasks(), rng=Rng(seed)).objective for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_results_are_tensors() -> None:
    with pytest.raises(TypeError, match="tensors only"):
        map_tasks(lambda task, rng: 1.0, tasks(), LOOP)
    assert keep_freed_memory() in (True, False)
