"""Tasks that exist already: one for each user, assay or sensor, whose rows are dealt to support and queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadExamples, NotEnoughExamples, UnknownName, UserError
from ..rng import Rng, distinct
from ..task import Examples, Origin, Task
from .pool import SPLITS
from .source import TaskSource

Features = Tensor | Callable[[Tensor], Tensor]  # (N, *feature), or (rows,) numbers -> (rows, *feature)


class Groups(TaskSource):
    """Each episode is one group: some of its rows are the support set, others the queries, chosen anew every time.

    Unlike `Episodes` nothing is put together from classes: a task is a task of the data, and whole groups stand on one
    side of the split. Groups with too few rows are left out, and `left_out` says how many.

    Args:
        name: what results call these tasks.
        x: (N, *feature) inputs, uint8 scaled to 0..1, or a function of row numbers, for what is stored some other way.
        y: (N, d) floating targets.
        group: (N,) which group each row belongs to, 0..G-1.
        sides: (G,) 'train', 'validation', 'test' or '' (left out).
        description: (G, d) what is known of each group beforehand.
        shots: support rows of a task.
        queries: query rows of a task.
        in_turn: episode e is group e modulo their number, so that all groups come equally often; else at random.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        BadExamples: lengths or types that do not fit together.
        NotEnoughExamples: no group of the split has rows enough.

    >>> y, group = torch.arange(12.0).view(12, 1), torch.arange(12) // 4
    >>> source = Groups("sensors", y, y, group, ("train", "validation", "test"), shots=2, queries=1)
    >>> source.sample(first=0, count=5).support.x.shape
    torch.Size([5, 2, 1])
    """

    kind = "regression"

    def __init__(
        self,
        name: str,
        x: Features,
        y: Tensor,
        group: Tensor,
        sides: Sequence[str],
        *,
        description: Tensor | None = None,
        shots: int = 10,
        queries: int = 10,
        in_turn: bool = False,
        seed: int = 0,
        split: str = "train",
    ):
        self.name, self.x, self.y, self.group, self.sides = name, x, y, group, tuple(sides)
        self.description, self.shots, self.queries, self.in_turn = description, shots, queries, in_turn
        self.seed, self.split = seed, split
        self._check()
        self.prepare()

    def _check(self) -> None:
        """Stop where the parts do not fit together."""
        n = len(self.y)
        if self.y.dim() != 2 or not self.y.is_floating_point():
            raise BadExamples(
                f"Targets are (n, d) and floating, but these are {tuple(self.y.shape)} of {self.y.dtype}."
            )
        check_groups(self.x, n, self.group, self.sides, self.description)

    def prepare(self) -> None:
        for name in ("shots", "queries"):
            count = getattr(self, name)
            if not isinstance(count, int) or count < 1:
                raise UserError(f"{name} is {count}; it must be a whole number of at least 1.")
        sizes = torch.bincount(self.group, minlength=len(self.sides))
        mine = torch.tensor([side == self.split for side in self.sides], dtype=torch.bool)
        need = self.shots + self.queries
        fit = mine & (sizes >= need)
        if not bool(fit.any()):
            most = int(sizes[mine].max()) if bool(mine.any()) else 0
            raise NotEnoughExamples(
                f"A task needs {self.shots} support + {self.queries} query rows, but of the {int(mine.sum())} groups of"
                f" the {self.split} split of '{self.name}' the largest has {most}. Lower shots or queries."
            )
        self.left_out = int((mine & ~fit).sum())
        self._groups = fit.nonzero().flatten().numpy()
        self._order = torch.argsort(self.group, stable=True).numpy()
        self._sizes, self._starts = sizes.numpy(), (sizes.cumsum(0) - sizes).numpy()

    @property
    def protocol(self) -> dict[str, Any]:
        about = {"source": self.name, "shots": self.shots, "queries": self.queries, "groups": len(self._groups)}
        return about | {"groups_left_out": self.left_out, "in_turn": self.in_turn}

    def sample(self, first: int, count: int) -> Task:
        episodes = np.arange(first, first + count)
        chosen = chosen_groups(self._groups, episodes, self.rng, self.in_turn)
        uniform = self.rng.at("rows").uniform(episodes, 2 * (self.shots + self.queries))
        within = distinct(uniform, self._sizes[chosen])
        rows = torch.from_numpy(self._order[self._starts[chosen][:, None] + within])
        support, query = rows[:, : self.shots], rows[:, self.shots :]
        description = None if self.description is None else self.description[chosen]
        return Task(
            Examples(inputs_of(self.x, support), self.y[support]),
            Examples(inputs_of(self.x, query), self.y[query]),
            description,
            Origin(support, query, group=torch.from_numpy(chosen)),
        )


def chosen_groups(groups: np.ndarray, episodes: np.ndarray, rng: Rng, in_turn: bool) -> np.ndarray:
    """(T,) the group of each episode."""
    if in_turn:
        return groups[episodes % len(groups)]
    place = (rng.at("group").uniform(episodes, 1)[:, 0] * len(groups)).astype(np.int64)
    return groups[np.minimum(place, len(groups) - 1)]


def check_groups(x: Features, n: int, group: Tensor, sides: Sequence[str], description: Tensor | None) -> None:
    """Stop where inputs, groups and sides of `n` rows do not fit together.

    Raises:
        BadExamples: other lengths, a group without a side, or without a description.
        UnknownName: a side that there is not.
    """
    if group.shape != (n,) or (isinstance(x, Tensor) and len(x) != n):
        inputs = len(x) if isinstance(x, Tensor) else n
        raise BadExamples(f"There are {n} targets, {inputs} inputs and {len(group)} groups; give one of each.")
    if n and (int(group.min()) < 0 or int(group.max()) >= len(sides)):
        low, high = int(group.min()), int(group.max())
        raise BadExamples(f"Groups run from {low} to {high}, but {len(sides)} have a side of the split.")
    if unknown := set(sides) - {*SPLITS, ""}:
        raise UnknownName.among("split", unknown.pop(), SPLITS)
    if description is not None and len(description) != len(sides):
        raise BadExamples(f"{len(sides)} groups need {len(sides)} descriptions, not {len(description)}.")


def inputs_of(x: Features, rows: Tensor) -> Tensor:
    """The inputs of some rows, bytes scaled to 0..1; what is padding (-1) gets those of row 0.

    >>> inputs_of(torch.tensor([[0], [255]], dtype=torch.uint8), torch.tensor([[1, -1]])).flatten()
    tensor([1., 0.])
    """
    numbers = rows.flatten().clamp(min=0)
    found = x.index_select(0, numbers) if isinstance(x, Tensor) else x(numbers)
    found = found.to(torch.float32).div_(255) if found.dtype == torch.uint8 else found
    return found.unflatten(0, rows.shape)
