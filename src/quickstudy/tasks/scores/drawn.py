"""Tasks drawn from a score table: some candidates of a data set have been tried, others are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import NotEnoughExamples, UnknownName, UserError
from ...rng import Rng, distinct
from ...task import Examples, Origin, Task
from ..episodes import Count
from ..groups import chosen_groups
from ..pool import SPLITS
from ..source import TaskSource
from .table import ScoreTable

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}  # of the groups, where nobody says which is for what


class ScoreTasks(TaskSource):
    """Each episode is one data set: some of its candidates are the support set, others the queries.

    Unlike `ScoreTable.task` the tried are random, and as many as a draw says: for learners that are trained by gradient
    over many tasks. Inputs are `Candidates.x`, targets the scores in raw units, higher is better, all float32.

    Args:
        table: what is known; data sets of one group stand on one side.
        shots: candidates tried, or (least, most), drawn anew in every episode; 0 is legal.
        queries: candidates asked about.
        sides: of each data set: 'train', 'validation', 'test' or '' (left out); None deals the groups at random by
            `SHARES`, the same for every seed.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        NotEnoughExamples: no data set of the split has scores enough.
        UserError: counts that make no sense, or another number of sides than of data sets.

    >>> table = ScoreTable.of_trials([name for name in "abcde" for _ in "12"], ["tree", "line"] * 5, range(10))
    >>> ScoreTasks(table, shots=(0, 1), queries=1).sample(first=0, count=3).query.x.shape
    torch.Size([3, 1, 1])
    """

    kind = "regression"

    def __init__(
        self,
        table: ScoreTable,
        *,
        shots: Count = (0, 20),
        queries: int = 20,
        sides: Sequence[str] | None = None,
        seed: int = 0,
        split: str = "train",
    ):
        self.table, self.shots, self.queries = table, shots, queries
        self.sides = dealt(table) if sides is None else tuple(sides)
        self.seed, self.split, self.name = seed, split, "scores"
        self.prepare()

    def prepare(self) -> None:
        low, high = self._shots
        if not 0 <= low <= high or self.queries < 1:
            raise UserError(
                f"shots are {self.shots} and queries {self.queries}; shots are a number or (least, most) of at least 0,"
                " and there is at least one query."
            )
        if len(self.sides) != len(self.table):
            raise UserError(f"There are {len(self.sides)} sides and {len(self.table)} data sets; give one each.")
        if unknown := set(self.sides) - {*SPLITS, ""}:
            raise UnknownName.among("split", unknown.pop(), SPLITS)
        known = torch.isfinite(self.table.final).numpy()
        self._sizes = known.sum(1)
        mine = np.array([side == self.split for side in self.sides])
        self._datasets = np.flatnonzero(mine & (self._sizes >= high + self.queries))
        if not len(self._datasets):
            raise NotEnoughExamples(
                f"A task needs {high} tried + {self.queries} other candidates, but of the {mine.sum()} data sets of the"
                f" {self.split} split the one with the most has {self._sizes[mine].max(initial=0)}. Lower shots or"
                " queries."
            )
        # The candidates that have a score come first, so that a place among them is a number below `_sizes`.
        self._order = torch.from_numpy(np.argsort(~known, axis=1, kind="stable"))

    @property
    def protocol(self) -> dict[str, Any]:
        about = {"source": self.name, "shots": self.shots, "queries": self.queries}
        return about | {"datasets": len(self._datasets), "candidates": len(self.table.candidates)}

    def sample(self, first: int, count: int) -> Task:
        episodes = np.arange(first, first + count)
        chosen = chosen_groups(self._datasets, episodes, self.rng, False)
        low, high = self._shots
        uniform = self.rng.at("candidates").uniform(episodes, 2 * (high + self.queries))
        places = torch.from_numpy(distinct(uniform, self._sizes[chosen]))
        datasets = torch.from_numpy(chosen)
        rows = self._order[datasets].gather(1, places)
        tried = low + (self.rng.at("tried").uniform(episodes, 1) * (high - low + 1)).astype(np.int64)
        mask = torch.arange(high) < torch.from_numpy(np.minimum(tried, high))
        support, query = rows[:, :high], rows[:, high:]
        described = self.table.features
        return Task(
            self._examples(datasets, support, mask if low < high else None),
            self._examples(datasets, query, None),
            None if described is None else described[datasets].float(),
            Origin(torch.where(mask, support, -1), query, group=datasets),
        )

    @property
    def _shots(self) -> tuple[int, int]:
        return (self.shots, self.shots) if isinstance(self.shots, int) else self.shots

    def _examples(self, datasets: Tensor, rows: Tensor, mask: Tensor | None) -> Examples:
        scores = self.table.final[datasets].gather(1, rows).unsqueeze(-1)
        return Examples(self.table.candidates.x[rows].float(), scores.float(), mask)


def dealt(table: ScoreTable) -> tuple[str, ...]:
    """A side for each data set, groups dealt at random by `SHARES`; each side gets one at least where there are three.

    >>> table = ScoreTable.of_trials("abcde", ["tree"] * 5, [1.0] * 5)
    >>> sorted(dealt(table))
    ['test', 'train', 'train', 'train', 'validation']
    """
    groups = list(dict.fromkeys(table.groups or table.datasets))
    order = Rng(0, ("score tables", "sides")).uniform(np.arange(len(groups)), 1)[:, 0].argsort()
    least = 1 if len(groups) >= len(SHARES) else 0
    counts = {side: max(least, round(share * len(groups))) for side, share in SHARES.items() if side != "train"}
    names = [side for side, count in counts.items() for _ in range(count)]
    side = {groups[g]: names[i] if i < len(names) else "train" for i, g in enumerate(order.tolist())}
    return tuple(side[group] for group in table.groups or table.datasets)
