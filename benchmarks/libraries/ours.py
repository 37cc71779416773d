"""quickstudy, the way its users train and judge: `meta_train` step by step, `evaluate`, `Episodes.sample`."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from quickstudy.engine.memory import keep_freed_memory
from quickstudy.evaluation.evaluate import evaluate
from quickstudy.learner import Learner
from quickstudy.learners.gradient.rules import SGD
from quickstudy.loops.meta_train import ADAM, meta_train
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.registry import build as built
from quickstudy.task import Examples, Origin, Task, take
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import Pool
from quickstudy.tasks.source import TaskSource

from .torch_job import fill
from .work import Work, drawings, tasks

LAYERS = {f"{kind}{i}": f"{kind}s.{i}" for kind in ("conv", "norm") for i in range(4)}
LAYERS |= {f"linear{i}": f"layers.{i}" for i in range(3)}


class Held(TaskSource):
    """Hands out the tasks that it holds, over and over."""

    name = "held"

    def __init__(self, held: Task, protocol: dict[str, Any]):
        self.held, self._protocol = held, protocol
        self.count = len(held.support.y)

    def sample(self, first: int, count: int) -> Task:
        if count == self.count:
            return self.held
        return take(self.held, torch.arange(first, first + count) % self.count)

    @property
    def protocol(self) -> dict[str, Any]:
        return self._protocol


def source(work: Work, dtype: str) -> Held:
    """The tasks of a work load. Reptile learns from queries too, so it gets the support set alone, cut in two."""
    x, y, queries, asked = (torch.from_numpy(np.ascontiguousarray(side)) for side in tasks(work, dtype))
    if work.kind == "reptile":
        x, y, queries, asked = x[:, :-1], y[:, :-1], x[:, -1:], y[:, -1:]
    ways = None if work.net == "mlp" else work.ways
    # Rows of a pool, as tasks have that `Episodes` draws.
    rows = torch.arange(y.shape[0] * (y.shape[1] + asked.shape[1])).view(y.shape[0], -1)
    origin = Origin(rows[:, : y.shape[1]], rows[:, y.shape[1] :])
    held = Task(Examples(x, y, ways=ways), Examples(queries, asked, ways=ways), origin=origin)
    return Held(held, {"ways": ways, "shots": work.shots, "queries": work.queries})


def learner(work: Work, dtype: str) -> tuple[Learner, list[nn.Parameter]]:
    """The learner as the registry makes it, and its parameters in the order of `work.names`."""
    if work.net == "mlp":
        net: nn.Module = MLP(1, 1)
    else:
        net = Conv4(downsample=work.net, outputs=work.ways if work.net == "stride" else None)
    parameters = fill(net, work, dtype, LAYERS)
    table: dict[str, Any] = {"name": work.learner}
    if work.learner == "prototypical":
        return built("learner", table, encoder=net), parameters
    table |= {"steps": work.steps, "lr": work.lr, "statistics": "batch"}
    if work.learner == "reptile":
        made = built("learner", table | {"batch": "none"}, net=net)
        made.rule = SGD(work.lr)  # as the libraries; by default it is Adam
        return made, parameters
    return built("learner", table, net=net), parameters


class Training:
    def __init__(self, work: Work, dtype: str, device: torch.device, precision: str):
        self.work, self.source, self.precision = work, source(work, dtype), precision
        self.learner, self.parameters = learner(work, dtype)
        self.learner.to(device)
        self.records = self._train(ADAM)

    def _train(self, optimizer: Any) -> Any:
        return meta_train(
            self.learner,
            self.source,
            steps=10**9,
            tasks=self.work.tasks,
            optimizer=optimizer,
            precision=self.precision,
        )

    def step(self) -> float:
        return next(self.records).loss

    def gradient(self) -> list[np.ndarray]:
        """What a step of plain descent with rate 1 takes off the weights."""
        before = [p.detach().clone() for p in self.parameters]
        next(self._train(partial(torch.optim.SGD, lr=1.0)))
        return [(old - p.detach()).numpy() for old, p in zip(before, self.parameters, strict=True)]


class Judging(Training):
    def step(self) -> float:
        return evaluate(self.learner, self.source, tasks=self.work.tasks, batch=self.work.tasks).value / 100

    def gradient(self) -> list[np.ndarray]:
        return [np.array([self.step()])]


class Drawing:
    def __init__(self, work: Work):
        x = torch.from_numpy(drawings())
        labels: Tensor = torch.arange(x.shape[0]).repeat_interleave(x.shape[1])
        pool = Pool.of(x.flatten(0, 1), labels)
        self.source = Episodes(pool, ways=work.ways, shots=work.shots, queries=work.queries)
        self.firsts, self.count = itertools.count(0, work.tasks), work.tasks

    def step(self) -> float:
        return float(math.prod(self.source.sample(next(self.firsts), self.count).query.y.shape))


def build(work: Work, dtype: str, *, device: str = "cpu", precision: str = "float32") -> Training | Drawing:
    keep_freed_memory()  # as the command line does before it trains
    if work.kind == "episodes":
        return Drawing(work)
    return (Judging if work.kind == "judge" else Training)(work, dtype, torch.device(device), precision)
