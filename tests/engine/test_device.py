"""Runs on another device: nothing of a learner stays behind, and a device that is not there is refused."""

from __future__ import annotations

import pytest
import torch

from quickstudy.contract import made_up_tasks
from quickstudy.engine.device import device_of
from quickstudy.errors import UserError
from quickstudy.functional.precision import computing_in
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.loops.meta_train import meta_train
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng
from quickstudy.task import on_device, stack
from quickstudy.tasks.functions import Sinusoids


def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"finds only .*1 cpu"):
        device_of("cuda:99")
    with pytest.raises(UserError, match="must be auto, cpu, cuda"):
        device_of("gpu")
    assert device_of("auto").type in ("cpu", "cuda", "mps")


def test_a_limit_on_memory_is_kept_on_a_cpu_only() -> None:
    learner = MAML(MLP(1, 1, hidden=(8,))).to("meta")
    with pytest.raises(UserError, match="on a CPU only"):
        next(meta_train(learner, Sinusoids(), steps=1, tasks=2, memory="1GiB"))


@pytest.mark.parametrize("learner", [Prototypical(Conv4(size=16, width=8)), MAML(Conv4(size=16, width=8, outputs=3))])
def test_lower_precision_is_near_and_leaves_weights_and_answers_as_they_are(learner: torch.nn.Module) -> None:
    tasks = stack(made_up_tasks("classification", feature=(1, 16, 16)))
    found = {}
    for precision in ("float32", "bfloat16"):
        with computing_in(precision):
            loss = learner.train().loss(tasks, rng=Rng(0))  # type: ignore[operator]
            slopes = torch.autograd.grad(loss.objective.sum(), list(learner.parameters()), allow_unused=True)
        found[precision] = torch.cat([s.flatten() for s in slopes if s is not None])
    assert found["bfloat16"].dtype == torch.float32
    assert not torch.equal(found["float32"], found["bfloat16"])
    assert torch.cosine_similarity(found["float32"], found["bfloat16"], dim=0) > 0.9


def test_precision_is_one_that_exists() -> None:
    with pytest.raises(UserError, match="Did you mean 'bfloat16'"):
        next(meta_train(MAML(MLP(1, 1)), Sinusoids(), steps=1, precision="bfloat"))


def test_tasks_go_where_the_learner_is() -> None:
    tasks = stack(made_up_tasks("classification"))
    assert on_device(tasks, torch.device("meta")).query.x.device.type == "meta"
