"""A small labelled set whose classes are clouds, and sources over it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from quickstudy.pytree import tree_map
from quickstudy.rng import Rng
from quickstudy.task import Examples, Origin, Task
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.pool import SPLITS, Pool
from quickstudy.tasks.source import TaskSource

CLASSES, EACH, LENGTH = 48, 12, 20


def clouds(*, spread: float = 1.0, seed: int = 0, **changes: Any) -> Pool:
    """48 classes of 12 examples in 20 dimensions, four classes a group, half of the groups for training."""
    generator = Rng(seed).generator()
    centres = torch.randn(CLASSES, LENGTH, generator=generator)
    y = torch.arange(CLASSES).repeat_interleave(EACH)
    x = centres[y] + spread * torch.randn(len(y), LENGTH, generator=generator)
    groups = tuple(f"group{c // 4}" for c in range(CLASSES))
    side = {**dict.fromkeys(range(6), "train"), **dict.fromkeys(range(6, 9), "validation")}
    split = tuple(side.get(c // 4, "test") for c in range(CLASSES))
    fields = {"name": "clouds", "x": x, "y": y, "classes": tuple(f"c{c:02d}" for c in range(CLASSES)), "groups": groups}
    return Pool(**{**fields, "split": split, **changes})


class Lines(TaskSource):
    """Regression: slopes and offsets of straight lines."""

    name = "lines"
    shots, queries = 5, 4

    @property
    def protocol(self) -> dict[str, Any]:
        return {"source": self.name, "shots": self.shots, "queries": self.queries}

    def sample(self, first: int, count: int) -> Task:
        tasks = [self._one(i) for i in range(first, first + count)]
        return tree_map(lambda *leaves: torch.stack(leaves), *tasks)

    def _one(self, episode: int) -> Task:
        generator = self.rng.at(episode).generator()
        slope = torch.randn(1, generator=generator)
        sides = []
        for n in (self.shots, self.queries):
            x = torch.randn(n, 1, generator=generator)
            sides.append(Examples(x, slope * x + 1))
        return Task(sides[0], sides[1])


class Spoiled(TaskSource):
    """Another source's tasks, each changed by a function: (task, its number) -> task."""

    def __init__(self, source: TaskSource, change: Any):
        self.source, self.change, self.name = source, change, source.name
        self.split, self.seed = source.split, source.seed
        self.pool = getattr(source, "pool", None)

    def of(self, split: str) -> Spoiled:
        return Spoiled(self.source.of(split), self.change)

    @property
    def protocol(self) -> dict[str, Any]:
        return self.source.protocol

    def sample(self, first: int, count: int) -> Task:
        batch = self.source.sample(first, count)
        tasks = [self.change(tree_map(lambda leaf, i=i: leaf[i], batch), first + i) for i in range(count)]
        return tree_map(lambda *leaves: torch.stack(leaves), *tasks)


def reordered(task: Task, *, support: Tensor | None = None, query: Tensor | None = None) -> Task:
    """The task with its examples in another order, and where they came from with them."""
    s = torch.arange(len(task.support)) if support is None else support
    q = torch.arange(len(task.query)) if query is None else query
    origin = None
    if task.origin is not None:
        origin = Origin(task.origin.support[s], task.origin.query[q], task.origin.classes, task.origin.group)
    return Task(task.support.select(s), task.query.select(q), task.description, origin)


@pytest.fixture
def source() -> Episodes:
    return Episodes(clouds(), ways=4, shots=2, queries=3, split="test")


@pytest.fixture
def lines() -> Lines:
    source = Lines()
    source.split = "test"
    return source


@pytest.fixture
def toys() -> Any:
    """What tests build their own leaks from."""
    return SimpleNamespace(clouds=clouds, Lines=Lines, Spoiled=Spoiled, reordered=reordered, SPLITS=SPLITS)
