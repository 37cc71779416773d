"""Training of learners on sources that no recipe names: go on from the last checkpoint, within a cap."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

import _records
from _training import QUICK, cost, followed
from quickstudy.learner import Learner
from quickstudy.loops.checkpoint import Checkpoint
from quickstudy.loops.meta_train import meta_train
from quickstudy.loops.schedules import cosine
from quickstudy.registry import build
from quickstudy.rng import Rng, forked
from quickstudy.tasks.source import TaskSource

Table = dict[str, Any]


def begun(make: Callable[[], Learner]) -> Learner:
    """A new learner, its weights by the seed 0."""
    with forked(Rng(0).at("init")):
        return make()


def made(table: Table, **modules: Any) -> Learner:
    """The learner of a table as recipes have it, its weights by the seed 0."""
    return begun(partial(build, "learner", table, **modules))


def fit(
    learner: Learner,
    source: TaskSource,
    name: str,
    *,
    steps: int,
    tasks: int = 16,
    lr: float = 1e-3,
    decay: float = 0.01,
    hours: float = 3.0,
    quick: bool = False,
) -> Table:
    """Train a learner in place by AdamW, its rate falling to nothing as half a cosine; gives the cost for a record.

    Args:
        name: of the run's folder.
        decay: of the weights.
        hours: cap on all runs of this name together.
        quick: two steps, of which nothing is kept.
    """
    adam: Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer] = partial(
        torch.optim.AdamW, lr=lr, weight_decay=decay
    )
    records = meta_train(
        learner,
        source,
        steps=QUICK if quick else steps,
        tasks=tasks,
        optimizer=adam,
        schedule=cosine(steps),
        checkpoint=None if quick else Checkpoint(_records.RUNS / name, 250),
        resume=not quick,
        seconds=hours * 3600,
    )
    return cost(*followed(records, name, steps, quick=quick))
