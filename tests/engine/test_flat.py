"""Traced training: the same numbers, refused where the operations change, and how much memory it takes."""

from __future__ import annotations

import copy
import os
import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quickstudy.contract import made_up_tasks
from quickstudy.engine import tuning
from quickstudy.engine.backward import TRACES, Backward
from quickstudy.engine.flat import Flat, NotTraceable, held_bytes
from quickstudy.engine.plan import Plan
from quickstudy.engine.tuning import tuned
from quickstudy.learners.gradient.maml import MAML
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.pytree import tree_map
from quickstudy.rng import Rng, forked
from quickstudy.task import Task, pad, stack, take
from quickstudy.tasks.functions import Sinusoids

LOOP = Plan("loop", 1, "asked for")


def batch(count: int = 4, size: int = 16) -> Task:
    tasks = stack(made_up_tasks("classification", feature=(1, size, size), count=count))
    return tree_map(lambda t: t.double() if t.is_floating_point() else t, tasks)


def learner(**options: Any) -> MAML:
    with forked(Rng(0)):
        return MAML(Conv4(size=16, width=4, outputs=3), **{"steps": 2, "lr": 0.1} | options).double()


def slopes(one: nn.Module, plan: Plan, tasks: Task) -> tuple[Tensor, str]:
    one.plan = plan
    one.zero_grad()
    backward = Backward(one, plan)
    backward(tasks, Rng(0))
    return torch.cat([p.grad.flatten() for p in one.parameters() if p.grad is not None]), backward.refused


@pytest.mark.parametrize("plan", [Plan("flat", 2, ""), Plan("flat", 1, "", 2), Plan("flat", 3, "")], ids=str)
@pytest.mark.parametrize("options", [{}, {"statistics": "batch"}, {"rule": "meta-sgd"}, {"moves": "head"}], ids=str)
def test_traced_equals_looped(plan: Plan, options: dict[str, Any]) -> None:
    one, tasks = learner(**options), batch()
    looped, _ = slopes(one, LOOP, tasks)
    traced, refused = slopes(one, plan, tasks)
    assert not refused
    assert (looped - traced).abs().max() < 1e-10 * looped.abs().max()


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch compiles with g++; none is here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler uses what torch deprecates
def test_compiled_equals_looped() -> None:
    with forked(Rng(0)):
        one = MAML(MLP(1, 1, hidden=(8,)), steps=1).double()
    tasks = tree_map(lambda t: t.double(), Sinusoids().sample(0, 4))
    looped, _ = slopes(one, LOOP, tasks)
    compiled, refused = slopes(one, Plan("compiled", 4, ""), tasks)
    assert not refused
    assert (looped - compiled).abs().max() < 1e-10 * looped.abs().max()


def test_a_second_batch_gets_its_own_numbers_and_weights_their_new_values() -> None:
    one, tasks = learner(), batch()
    one.plan = Plan("flat", 4, "")
    backward = Backward(one, one.plan)
    backward(tasks, Rng(0))
    with torch.no_grad():
        for p in one.parameters():
            p.mul_(0.9)
    one.zero_grad()
    other = tree_map(lambda t: t.flip(0), tasks)
    objective, _ = backward(other, Rng(0))
    found = torch.cat([p.grad.flatten() for p in one.parameters() if p.grad is not None])
    again, _ = slopes(one, LOOP, other)
    assert (found - again).abs().max() < 1e-10 * again.abs().max()
    assert torch.allclose(objective, one.loss(other).objective.detach())
    assert len(backward._traces) == 1


def test_an_option_that_is_changed_between_steps_is_traced_anew() -> None:
    one, tasks = learner(), batch()
    one.plan = Plan("flat", 4, "")
    backward = Backward(one, one.plan)
    backward(tasks, Rng(0))
    one.lr = one.descent.lr = 0.01
    one.zero_grad()
    backward(tasks, Rng(0))
    found = torch.cat([p.grad.flatten() for p in one.parameters() if p.grad is not None])
    assert len(backward._traces) == 2
    again, _ = slopes(one, LOOP, tasks)
    assert (found - again).abs().max() < 1e-10 * again.abs().max()


class Odd(nn.Module):
    """A net that does what cannot be written down once."""

    def __init__(self, how: str):
        super().__init__()
        self.how, self.layer = how, nn.Linear(256, 3).double()
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x.flatten(1))
        if self.how == "decides by values" and float(x.sum()) > 0:
            return 2 * x
        if self.how == "draws random numbers":
            return x * torch.rand_like(x)
        return x


@pytest.mark.parametrize("how", ["decides by values", "draws random numbers"])
@pytest.mark.filterwarnings("ignore::quickstudy.engine.mapping.NotVectorised")
def test_what_cannot_be_traced_is_run_as_it_is_and_says_why(how: str) -> None:
    one = MAML(Odd(how), steps=1)
    plan = Plan("flat", 4, "")
    found, refused = slopes(one, plan, batch())
    assert refused and bool(torch.isfinite(found).all())


def test_an_objective_that_changes_with_the_outer_step_is_not_traced() -> None:
    one = learner(multi_step=True)
    one.plan = Plan("flat", 4, "")
    with pytest.raises(NotTraceable):
        Flat(one, batch())
    assert one.outer_step == 0
    one = learner(statistics="per-step")
    before = copy.deepcopy(one.state_dict())
    one.plan = Plan("flat", 4, "")
    with pytest.raises(NotTraceable):
        Flat(one, batch())
    assert all(torch.equal(t, before[name]) for name, t in one.state_dict().items())


def test_padded_tasks_and_tasks_of_many_shapes_are_run_untraced() -> None:
    one, plan = learner(steps=1), Plan("flat", 1, "")
    one.plan = plan
    backward = Backward(one, plan)
    for size in range(TRACES + 2):
        backward(tree_map(lambda t, n=12 - size: t[:, :n], batch(1)), Rng(0))
    assert "shapes" in backward.refused and len(backward._traces) == TRACES
    fresh = Backward(one, plan)
    long, short = take(batch(1), 0), tree_map(lambda t: t[:9], take(batch(1), 0))
    fresh(pad([long, short]), Rng(0))
    assert not fresh._traces


def test_the_memory_of_a_traced_step_is_known_before_it_is_run() -> None:
    one = learner()
    one.plan = Plan("flat", 4, "")
    four, one_task = Flat(one, batch(4)), Flat(one, batch(1))
    ratio = held_bytes(four.graph.graph) / held_bytes(one_task.graph.graph)
    assert 2.5 < ratio <= 4.2  # activations grow with the tasks, the weights' own gradients do not


def test_a_long_run_is_measured_and_remembered_and_a_short_one_goes_by_the_rule(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("QUICKSTUDY_CACHE", str(tmp_path))
    one, tasks = learner().train(), batch()
    before = copy.deepcopy(one.state_dict())
    assert tuned(one, tasks, steps=1).reason == tuning.choose(one, tasks).reason
    assert not (tmp_path / "plans.json").exists()
    plan = tuned(one, tasks, steps=10**9)
    assert "measured" in plan.reason and one.plan is None
    assert all(torch.equal(t, before[name]) for name, t in one.state_dict().items())
    assert all(p.grad is None for p in one.parameters())
    monkeypatch.setattr(tuning, "_fastest", lambda *_: pytest.fail("it was remembered"))
    assert tuned(one, tasks, steps=10**9) == plan
    assert tuned(one, tasks, steps=10**9, seconds=1.0).reason == tuning.choose(one, tasks).reason
    (tmp_path / "plans.json").write_text("broken", encoding="utf-8")
    monkeypatch.setattr(tuning, "_fastest", lambda *_: plan)
    assert tuned(one, tasks, steps=10**9) == plan
