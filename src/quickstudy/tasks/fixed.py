"""Tasks whose support sets are prescribed: benchmarks that publish, row by row, what may be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import BadExamples, UserError
from ..task import Examples, Origin, Task
from .groups import Features, inputs_of
from .source import TaskSource


class FixedTasks(TaskSource):
    """A list of tasks to judge by, each with the support and query rows that its authors chose.

    Unlike `ClassGroups` nothing is drawn, and there are `len(source)` tasks: `evaluate(learner, source,
    tasks=len(source))` meets every query once. The seed changes the order inside support and query, no more.

    Args:
        name: what results call these tasks.
        x: (N, *feature) inputs, uint8 scaled to 0..1, or a function of row numbers.
        y: (N,) int64 classes that mean the same in every task, or (N, d) floating targets.
        support: row numbers of each task's support set.
        query: row numbers of each task's queries.
        classes: names of the classes; none for a regression.
        names: of the tasks; their numbers when None.
        seed: of the order of rows.
        split: 'test' alone.

    Raises:
        BadExamples: rows that there are not, a task without rows, or a row that is support and query of one task.
        UserError: another split than 'test', or a task beyond the last.

    >>> x, y = torch.arange(8.0).view(8, 1), torch.arange(8) % 2
    >>> rows = torch.arange(8)
    >>> source = FixedTasks("official", x, y, [rows[:2], rows[4:6]], [rows[2:4], rows[6:]], classes=("bad", "good"))
    >>> len(source), source.sample(first=0, count=2).support.x.shape
    (2, torch.Size([2, 2, 1]))
    """

    def __init__(
        self,
        name: str,
        x: Features,
        y: Tensor,
        support: Sequence[Tensor],
        query: Sequence[Tensor],
        *,
        classes: Sequence[str] = (),
        names: Sequence[str] | None = None,
        seed: int = 0,
        split: str = "test",
    ):
        self.name, self.x, self.y, self.classes = name, x, y, tuple(classes)
        self.support, self.query = tuple(support), tuple(query)
        self.names = tuple(names) if names is not None else tuple(map(str, range(len(self.support))))
        self.seed, self.split = seed, split
        self.kind = "regression" if y.is_floating_point() else "classification"
        self._check()
        self.prepare()

    def _check(self) -> None:
        """Stop where the parts do not fit together."""
        n, count = len(self.y), len(self.support)
        if not count or len(self.query) != count or len(self.names) != count:
            raise BadExamples(f"There are {count} support sets, {len(self.query)} queries and {len(self.names)} names.")
        if self.kind == "classification" and n and not 0 <= int(self.y.min()) <= int(self.y.max()) < len(self.classes):
            low, high = int(self.y.min()), int(self.y.max())
            raise BadExamples(f"y runs from {low} to {high}, but {len(self.classes)} classes have a name.")
        for name, support, query in zip(self.names, self.support, self.query, strict=True):
            rows = torch.cat([support, query])
            if not len(support) or not len(query) or int(rows.min()) < 0 or int(rows.max()) >= n:
                raise BadExamples(
                    f"Task '{name}' has {len(support)} support and {len(query)} query rows; give some of each, among"
                    f" 0..{n - 1}."
                )
            if len(rows.unique()) < len(rows):
                raise BadExamples(f"A row of task '{name}' is there twice; a query must not be a support example.")

    def prepare(self) -> None:
        if self.split != "test":
            raise UserError(f"The tasks of '{self.name}' are for the test alone, and have no {self.split} split.")
        self._rows = tuple(
            torch.nn.utils.rnn.pad_sequence([self._mixed(side, i, r) for i, r in enumerate(rows)], True, -1)
            for side, rows in (("support", self.support), ("query", self.query))
        )
        self._ragged = any(bool((rows < 0).any()) for rows in self._rows)

    def _mixed(self, side: str, task: int, rows: Tensor) -> Tensor:
        """Rows in random order, as an order that is given may tell the labels."""
        return rows[torch.randperm(len(rows), generator=self.rng.at(side, task).generator())]

    def __len__(self) -> int:
        return len(self.support)

    @property
    def protocol(self) -> dict[str, Any]:
        about: dict[str, Any] = {"source": self.name, "fixed_tasks": len(self)}
        if self.kind == "classification":
            each = [torch.bincount(self.y[rows], minlength=len(self.classes)) for rows in self.support]
            about |= {"ways": len(self.classes), "shots": _span(torch.cat(each).tolist()), "labels": "shared"}
        else:
            about |= {"shots": _span([len(rows) for rows in self.support])}
        return about | {"queries": _span([len(rows) for rows in self.query])}

    def sample(self, first: int, count: int) -> Task:
        if first < 0 or first + count > len(self):
            raise UserError(
                f"'{self.name}' has {len(self)} tasks, numbered from 0; {count} from number {first} on were asked for."
            )
        support, query = (rows[first : first + count] for rows in self._rows)
        group = torch.arange(first, first + count)
        return Task(self._examples(support), self._examples(query), None, Origin(support, query, group=group))

    def _examples(self, rows: Tensor) -> Examples:
        ways = len(self.classes) if self.kind == "classification" else None
        y = self.y[rows.clamp(min=0)]
        if not self._ragged:
            return Examples(inputs_of(self.x, rows), y, ways=ways)
        real = rows >= 0
        y = y.where(real if ways is not None else real.unsqueeze(-1), torch.zeros((), dtype=y.dtype))
        return Examples(inputs_of(self.x, rows), y, real, ways=ways)


def _span(counts: Sequence[int]) -> int | tuple[int, int]:
    return counts[0] if min(counts) == max(counts) else (min(counts), max(counts))
