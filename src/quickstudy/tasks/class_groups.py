"""Classification tasks that exist already: one for each domain, assay, speaker or production line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import BadExamples, NotEnoughExamples, UnknownName, UserError
from ..rng import distinct
from ..task import Examples, Origin, Task
from .dealing import in_random_order, proportional
from .groups import Features, check_groups, chosen_groups, inputs_of
from .source import TaskSource


class ClassGroups(TaskSource):
    """Each episode is one group: of each of its classes some rows are the support set, others the queries.

    Unlike `Groups` the answer is a class; unlike `Episodes` nothing is put together: the classes of a task are those of
    its group, and whole groups stand on one side of the split. Groups with one class, or with too few rows of a class,
    are left out, and `left_out` says how many.

    Args:
        name: what results call these tasks.
        x: (N, *feature) inputs, uint8 scaled to 0..1, or a function of row numbers.
        y: (N,) int64 class of each row, 0..C-1.
        group: (N,) which group each row belongs to, 0..G-1.
        sides: (G,) 'train', 'validation', 'test' or '' (left out).
        classes: C names.
        labels: 'shared': a class means the same in every group, and its number is its label everywhere; a class that a
            group lacks has no examples there, and `origin.classes` is None, as labels say it all. 'local': a class is
            one of its group alone, labels are dealt anew in every episode, and `origin.classes` numbers the classes of
            all groups; groups with fewer classes than others are padded, as `Episodes` does.
        description: (G, d) what is known of each group beforehand.
        shots: support rows of each class.
        queries: query rows of each class; None asks for all rows that are not in the support set.
        balance: 'equal': as said. 'natural': as many rows in all, but dealt to the classes in the proportions of the
            group, at least one to each.
        in_turn: episode e is group e modulo their number, so that all groups come equally often; else at random.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Attributes:
        pairs: classes of all groups, each counted in every group that has it: what `origin.classes` numbers.

    Raises:
        BadExamples: lengths or types that do not fit together.
        NotEnoughExamples: no group of the split has rows enough.

    >>> y, group = torch.arange(12) % 2, torch.arange(12) // 4
    >>> x, sides = torch.arange(12.0).view(12, 1), ("train", "validation", "test")
    >>> source = ClassGroups("lines", x, y, group, sides, classes=("bad", "good"), shots=1, queries=1)
    >>> source.sample(first=0, count=5).support.x.shape
    torch.Size([5, 2, 1])
    """

    kind = "classification"

    def __init__(
        self,
        name: str,
        x: Features,
        y: Tensor,
        group: Tensor,
        sides: Sequence[str],
        *,
        classes: Sequence[str],
        labels: Literal["shared", "local"] = "shared",
        description: Tensor | None = None,
        shots: int = 5,
        queries: int | None = 15,
        balance: Literal["equal", "natural"] = "equal",
        in_turn: bool = False,
        seed: int = 0,
        split: str = "train",
    ):
        self.name, self.x, self.y, self.group = name, x, y, group
        self.sides, self.classes, self.labels, self.description = tuple(sides), tuple(classes), labels, description
        self.shots, self.queries, self.balance, self.in_turn = shots, queries, balance, in_turn
        self.seed, self.split = seed, split
        self._check()
        self.prepare()

    def _check(self) -> None:
        """Stop where the parts do not fit together."""
        n, c = len(self.y), len(self.classes)
        if self.y.dim() != 1 or self.y.dtype != torch.int64:
            raise BadExamples(f"Classes are (n,) of torch.int64, but y is {tuple(self.y.shape)} of {self.y.dtype}.")
        if n and (int(self.y.min()) < 0 or int(self.y.max()) >= c):
            raise BadExamples(f"y runs from {int(self.y.min())} to {int(self.y.max())}, but {c} classes have a name.")
        check_groups(self.x, n, self.group, self.sides, self.description)

    def prepare(self) -> None:
        for option, known in (("labels", ("shared", "local")), ("balance", ("equal", "natural"))):
            if getattr(self, option) not in known:
                raise UnknownName.among(option, getattr(self, option), known)
        for option, count in (("shots", self.shots), ("queries", self.queries)):
            if (count is not None or option == "shots") and (not isinstance(count, int) or count < 1):
                raise UserError(f"{option} is {count}; it must be a whole number of at least 1.")
        self._count()
        self._support = self._dealt(self.shots, self._sizes)
        left = np.maximum(self._sizes - self._support, 0)
        self._query = left if self.queries is None else self._dealt(self.queries, left)
        self._keep_fit()

    def _count(self) -> None:
        """Where the rows of each class of each group lie, as (G, places): a place is a class, or one of the group's."""
        group, c = self.group.numpy(), len(self.classes)
        pairs, pair, sizes = np.unique(group * c + self.y.numpy(), return_inverse=True, return_counts=True)
        self.pairs = len(pairs)
        home = pairs // c
        places = pairs % c if self.labels == "shared" else np.arange(len(pairs)) - np.searchsorted(home, home)
        width = c if self.labels == "shared" else int(places.max(initial=0)) + 1
        self._sizes, self._starts, self._pairs = (np.zeros((len(self.sides), width), dtype=np.int64) for _ in range(3))
        self._sizes[home, places], self._starts[home, places] = sizes, sizes.cumsum() - sizes
        self._pairs[home, places] = np.arange(len(pairs))
        self._place, self._order = places[pair], np.argsort(pair, kind="stable")

    def _dealt(self, each: int, sizes: np.ndarray) -> np.ndarray:
        """(G, places) how many of so many rows each class of each group gives to one side."""
        real = self._sizes > 0
        return real * each if self.balance == "equal" else proportional(each * real.sum(1), sizes)

    def _keep_fit(self) -> None:
        """Which groups of the split have enough of each class; and the shape of a batch, whatever is in it."""
        mine = np.array([side == self.split for side in self.sides], dtype=bool)
        real = self._sizes > 0
        enough = ((self._query > 0) | ~real) & (self._support + self._query <= self._sizes)
        fit = mine & enough.all(1) & (real.sum(1) > 1)
        if not fit.any():
            rarest = np.where(real, self._sizes, len(self.y)).min(1)[mine & (real.sum(1) > 1)].max(initial=0)
            raise NotEnoughExamples(
                f"A task needs two classes and {self.shots} support + {self.queries or 'some'} query rows of each"
                f"{' on average' if self.balance == 'natural' else ''}, but none of the {int(mine.sum())} groups of the"
                f" {self.split} split of '{self.name}' has them: where there are two classes, the rarest has at most"
                f" {rarest} rows. Lower shots or queries."
            )
        self.left_out, self._groups = int((mine & ~fit).sum()), fit.nonzero()[0]
        ways, support, query = real[fit].sum(1), self._support[fit], self._query[fit]
        self._ways = (int(ways.min()), int(ways.max()))
        self._most = int((support if self.queries is None else support + query).max())
        self._widths = (int(support.sum(1).max()), int(query.sum(1).max()))
        self._ragged = (
            len({*map(tuple, zip(ways.tolist(), support.sum(1).tolist(), query.sum(1).tolist(), strict=True))}) > 1
        )

    @property
    def protocol(self) -> dict[str, Any]:
        ways = self._ways[0] if self._ways[0] == self._ways[1] else self._ways
        about = {"source": self.name, "ways": ways, "shots": self.shots, "queries": self.queries or "all other rows"}
        about |= {"balance": self.balance, "labels": self.labels, "groups": len(self._groups)}
        return about | {"groups_left_out": self.left_out, "in_turn": self.in_turn}

    def sample(self, first: int, count: int) -> Task:
        episodes = np.arange(first, first + count)
        chosen = chosen_groups(self._groups, episodes, self.rng, self.in_turn)
        labels = self._labels(episodes, chosen)
        sides, origins = [], []
        for name, rows, width in zip(("support", "query"), self._rows(episodes, chosen), self._widths, strict=True):
            order = in_random_order(self.rng.at(name, "order").uniform(episodes, rows.shape[1]), rows)[:, :width]
            real = order >= 0
            y = np.where(real, np.take_along_axis(labels, self._place[order], axis=1), 0)
            sides.append(self._examples(torch.from_numpy(order), torch.from_numpy(y), torch.from_numpy(real)))
            origins.append(torch.from_numpy(order))
        description = None if self.description is None else self.description[torch.from_numpy(chosen)]
        classes = None if self.labels == "shared" else torch.from_numpy(self._numbers(chosen, labels))
        origin = Origin(origins[0], origins[1], classes, torch.from_numpy(chosen))
        return Task(sides[0], sides[1], description, origin)

    def _examples(self, rows: Tensor, y: Tensor, real: Tensor) -> Examples:
        ways = len(self.classes) if self.labels == "shared" else self._ways[1]
        return Examples(inputs_of(self.x, rows), y, real if self._ragged else None, ways=ways)

    def _labels(self, episodes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """(T, places) the label of each class: its number, or dealt anew among those that the group has."""
        sizes = self._sizes[chosen]
        if self.labels == "shared":
            return np.broadcast_to(np.arange(sizes.shape[1]), sizes.shape)
        uniform = np.where(sizes > 0, self.rng.at("labels").uniform(episodes, sizes.shape[1]), 2.0)
        return np.argsort(np.argsort(uniform, axis=1, kind="stable"), axis=1)

    def _numbers(self, chosen: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(T, ways) the number of the class that has each label, among all classes of all groups; -1 for padding."""
        numbers = np.empty_like(labels)
        np.put_along_axis(numbers, labels, np.where(self._sizes[chosen] > 0, self._pairs[chosen], -1), axis=1)
        return numbers[:, : self._ways[1]]

    def _rows(self, episodes: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, n) and (T, q) row numbers of support and query, class by class; -1 where there is none."""
        few, sizes, most = self._support[chosen], self._sizes[chosen], self._most
        count = few if self.queries is None else few + self._query[chosen]
        uniform = self.rng.at("rows").uniform(episodes, count.shape[1] * 2 * most).reshape(-1, 2 * most)
        within = distinct(uniform, sizes.reshape(-1), count.reshape(-1)).reshape(*count.shape, most)
        place = np.where(within < 0, -1, within + self._starts[chosen][:, :, None])
        drawn = np.arange(most) < few[:, :, None]
        sides = [np.where(which, place, -1).reshape(len(episodes), -1) for which in (drawn, ~drawn)]
        if self.queries is None:
            sides[1] = self._others(chosen, sides[0])
        support, query = (np.where(side < 0, -1, self._order[side]) for side in sides)
        return support, query

    def _others(self, chosen: np.ndarray, support: np.ndarray) -> np.ndarray:
        """(T, rows of the largest group) every place of a group in `_order` that the support set has not taken."""
        start = np.where(self._sizes > 0, self._starts, len(self.y)).min(1)[chosen][:, None]
        total = self._sizes.sum(1)
        every = np.arange(total[self._groups].max() + 1)  # one more, where all that is no row of the support is put
        left = every < total[chosen][:, None]
        np.put_along_axis(left, np.where(support < 0, every[-1], support - start), False, axis=1)
        return np.where(left, start + every, -1)
