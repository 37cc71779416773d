"""What tasks are drawn from, classes or groups: a part of them, their number, and which rows and episodes are whose."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...errors import UserError
from ...rng import Rng
from ...tasks.class_groups import ClassGroups
from ...tasks.episodes import Episodes
from ...tasks.groups import Groups
from ...tasks.source import TaskSource

S = TypeVar("S", bound=TaskSource)


def part_of(source: S, share: float, *, seed: int = 0) -> S:
    """The same source with a part of its training classes (of `Episodes`) or training groups (of the others).

    Parts of one seed are nested: the smaller is inside the larger. Validation and test tasks are untouched, and the
    numbers of classes and groups stay what they were. A share that is no whole number of classes is rounded up.

    Args:
        source: of classes or groups.
        share: of the training classes or groups, above 0 and at most 1; groups with too few rows are counted here.
        seed: another one, another part.

    Raises:
        UserError: a share that is none, or tasks of which there is no number (drawn from functions, or fixed).
        NotEnoughExamples: a source of the training split is left with fewer classes than a task has.

    >>> from quickstudy.tasks.pool import Pool
    >>> pool = Pool.of(torch.arange(24.0).view(24, 1), list("abcdefgh") * 3)
    >>> source = Episodes(pool, ways=2, shots=1, queries=1)
    >>> half, quarter = (part_of(source, share).pool.members("train").tolist() for share in (0.5, 0.25))
    >>> len(half), set(quarter) < set(half)
    (4, True)
    """
    if not 0 < share <= 1:
        raise UserError(f"The share of training tasks is {share}; it must be above 0 and at most 1.")
    options: dict[str, Any] = {}
    if isinstance(source, Episodes):
        options["pool"] = dataclasses.replace(source.pool, split=_thinned(source.pool.split, share, seed))
    elif isinstance(source, ClassGroups | Groups):
        options["sides"] = _thinned(source.sides, share, seed)
    if options:
        return source.replaced(**options)
    raise UserError(
        f"The training tasks of '{source.name}' ({type(source).__name__}) are not drawn from a number of classes or"
        " groups, so there is no part of them."
    )


def training_units(source: TaskSource) -> int:
    """How many classes or groups training tasks are drawn from; groups with too few rows do not count."""
    if isinstance(source, Episodes):
        return len(source.pool.members("train"))
    return int(source.train.protocol["groups"])


def unit_of(source: TaskSource) -> str:
    """What there is a number of: 'classes' or 'tasks'."""
    return "classes" if isinstance(source, Episodes) else "tasks"


def groups_of(source: TaskSource, tasks: int, *, first: int = 0, batch: int = 64) -> Tensor | None:
    """(T,) the group that each episode is of; None where episodes are put together from classes or functions."""
    found = []
    for start in range(first, first + tasks, batch):
        origin = source.sample(start, min(batch, first + tasks - start)).origin
        if origin is None or origin.group is None:
            return None
        found.append(origin.group)
    return torch.cat(found)


def by_group(values: Tensor, groups: Tensor | None) -> Tensor:
    """(T, ...) values of episodes -> (G, ...) means of those of one group; the episodes themselves without groups.

    Episodes of one group are one task met again: taken for many, they would make an interval far too narrow.

    >>> by_group(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([7, 7, 2]))
    tensor([5., 2.])
    """
    if groups is None:
        return values
    return torch.stack([values[groups == g].mean(0) for g in groups.unique()])


def rows_by_unit(source: TaskSource) -> tuple[tuple[str, ...], Tensor]:
    """The side of each class or group ('train', 'validation', 'test' or ''), and (N,) which of them each row is of.

    Raises:
        UserError: tasks that are made of neither.
    """
    if isinstance(source, Episodes):
        return source.pool.split, source.pool.y
    if isinstance(source, ClassGroups | Groups):
        return source.sides, source.group
    raise UserError(
        f"The tasks of '{source.name}' ({type(source).__name__}) are not drawn from classes or groups, so there are"
        " none to be alike."
    )


def _thinned(sides: Sequence[str], share: float, seed: int) -> tuple[str, ...]:
    """The sides, with '' for the training units that are not in the part."""
    mine = [i for i, side in enumerate(sides) if side == "train"]
    order = torch.randperm(len(mine), generator=Rng(seed).at("part of the training tasks").generator()).tolist()
    left = {mine[i] for i in order[math.ceil(share * len(mine) - 1e-9) :]}
    return tuple("" if i in left else side for i, side in enumerate(sides))
