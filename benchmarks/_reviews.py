"""Reviews dealt to what they are for: fine-tuning the encoder, support sets, or queries as they come.

The queries of the official test are as many of either class as people wrote, the support sets 5 of either. So training
tasks are drawn the same way, from two sets of rows for each task, and how common each answer is can be learned from
training tasks. No review serves two of the three ends, in whatever tasks it stands, and none is a review of the test.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from quickstudy.task import Examples, Origin, Task
from quickstudy.tasks.datasets.text.arsc import CLASSES, Reviews
from quickstudy.tasks.datasets.text.pools import Encode
from quickstudy.tasks.source import TaskSource

TUNING, SUPPORT, QUERIES, JUDGED = 230, 40, 160, 400  # most rows of a task, SUPPORT of either class


@dataclasses.dataclass(frozen=True)
class Dealt:
    """Rows of `reviews`, by task: (rows,) for tuning and queries, one array a class for support sets."""

    reviews: Reviews
    tuning: dict[int, np.ndarray]
    support: dict[int, list[np.ndarray]]
    queries: dict[int, np.ndarray]

    def tasks(self, side: str) -> list[int]:
        """Numbers of the tasks of one side."""
        return [task for task in self.support if self.reviews.sides[task] == side]


def deal(reviews: Reviews) -> Dealt:
    """Support sets and tuning from the training files (validation: development files), queries from the others."""
    side = np.array(reviews.sides)[reviews.group]
    tested, judged = (reviews.text[side == name] for name in ("test", "validation"))
    tuning, support, queries = {}, {}, {}
    for task, name in enumerate(reviews.sides):
        if name not in ("train", "validation"):
            continue
        learned, *others = ("train", "dev", "test") if name == "train" else ("dev", "test")
        leaks = np.concatenate([tested, judged]) if name == "train" else tested
        generator = torch.Generator().manual_seed(1000 + task)
        rows = _mixed(reviews, reviews.of(task, learned), leaks, generator)
        held = np.concatenate([reviews.of(task, part) for part in others])
        leaks = np.concatenate([leaks, reviews.text[rows]])
        queries[task] = _mixed(reviews, held, leaks, generator)[: QUERIES if name == "train" else JUDGED]
        count = min(SUPPORT, *np.bincount(reviews.y[rows], minlength=2).tolist())
        support[task] = [rows[reviews.y[rows] == label][:count] for label in range(len(CLASSES))]
        if name == "train":
            tuning[task] = rows[~np.isin(rows, np.concatenate(support[task]))][:TUNING]
    kept = reviews.text[np.concatenate([*queries.values(), *(rows for both in support.values() for rows in both)])]
    tuning = {task: rows[~np.isin(reviews.text[rows], kept)] for task, rows in tuning.items()}
    return Dealt(reviews, tuning, support, queries)


def _mixed(reviews: Reviews, rows: np.ndarray, leaks: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Rows in random order, every text once, without those that other sides have."""
    rows = rows[np.sort(np.unique(reviews.text[rows], return_index=True)[1])]
    rows = rows[~np.isin(reviews.text[rows], leaks)]
    return rows[torch.randperm(len(rows), generator=generator).numpy()]


class NewDomains(TaskSource):
    """Tasks like the official ones: as many support reviews of either class, and queries as they come.

    Args:
        dealt: the rows.
        encode: texts -> (n, *feature).
        shots: support reviews of either class; tasks with fewer are left out.
        queries: of a task, drawn from those that it has; None asks for all of them, and needs tasks of one size.
        seed: of the episodes.
        split: 'train' or 'validation'.
    """

    name = "arsc"
    kind = "classification"
    classes = CLASSES

    def __init__(
        self,
        dealt: Dealt,
        encode: Encode,
        *,
        shots: int = 5,
        queries: int | None = 32,
        seed: int = 0,
        split: str = "train",
    ):
        self.dealt, self.encode = dealt, encode
        self.shots, self.queries, self.seed, self.split = shots, queries, seed, split
        self.prepare()

    def prepare(self) -> None:
        tasks = self.dealt.tasks(self.split)
        enough = min(self.queries or 1, 20)
        self._tasks = [
            t for t in tasks if len(self.dealt.support[t][0]) >= self.shots and len(self.dealt.queries[t]) >= enough
        ]
        parts = [np.concatenate([*self.dealt.support[t], self.dealt.queries[t]]) for t in tasks]
        self._start = dict(zip(tasks, np.cumsum([0, *map(len, parts)])[:-1].tolist(), strict=True))
        self._rows = np.concatenate(parts)
        self._x = self.dealt.reviews.encoded(self._rows, self.encode)
        self._y = torch.from_numpy(self.dealt.reviews.y[self._rows])

    @property
    def protocol(self) -> dict[str, Any]:
        about = {"source": self.name, "ways": len(CLASSES), "shots": self.shots, "queries": self.queries or "all"}
        return about | {"groups": len(self._tasks), "balance": "support equal, queries natural"}

    def sample(self, first: int, count: int) -> Task:
        """Tasks in turn; what is drawn of each depends on the episode."""
        chosen = [self._tasks[episode % len(self._tasks)] for episode in range(first, first + count)]
        sides = [self._drawn(task, first + i) for i, task in enumerate(chosen)]
        support, query = (torch.stack(side) for side in zip(*sides, strict=True))
        parts = [Examples(self._x(rows), self._y[rows], ways=len(CLASSES)) for rows in (support, query)]
        return Task(parts[0], parts[1], None, Origin(support, query, group=torch.tensor(chosen)))

    def _drawn(self, task: int, episode: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng, start = self.rng.at(episode), self._start[task]
        size, asked = len(self.dealt.support[task][0]), len(self.dealt.queries[task])
        support = [
            start + label * size + torch.randperm(size, generator=rng.at(label).generator())[: self.shots]
            for label in range(len(CLASSES))
        ]
        mixed = torch.cat(support)[torch.randperm(2 * self.shots, generator=rng.at("order").generator())]
        # With replacement where a task has few: every review counts the same on average.
        wanted = asked if self.queries is None else self.queries
        order = torch.randperm(asked, generator=rng.at("query").generator())
        return mixed, start + 2 * size + order[torch.arange(wanted) % asked]

    def every_row(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and classes of all queries, as they come: what a pooled model is fitted to."""
        rows = torch.cat(
            [
                self._start[t] + 2 * len(self.dealt.support[t][0]) + torch.arange(len(self.dealt.queries[t]))
                for t in self._start
            ]
        )
        return self._x(rows), self._y[rows]
