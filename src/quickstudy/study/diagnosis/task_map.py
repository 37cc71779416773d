"""A map of past tasks, by what a learner sees of them and by their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import UserError
from ...evaluation.evaluate import evaluating
from ...learner import Learner
from ...learners.baseline.frozen import features
from ...rng import Rng
from ...task import Examples
from ...tasks.class_groups import ClassGroups
from ...tasks.episodes import Episodes
from ...tasks.groups import Groups, inputs_of
from ...tasks.source import TaskSource
from .units import rows_by_unit

AT_ONCE = 256  # inputs that are embedded in one call
SCALED_BY = 1000  # raw inputs whose deviations are the scale


@dataclasses.dataclass(frozen=True)
class Similar:
    """A past task (or class), and how far it is."""

    name: str
    side: str
    distance: float


def embedded(learner: Learner | None, x: Tensor) -> Tensor:
    """(n, d) what a learner's encoder makes of inputs; the inputs, flattened, where it has none.

    >>> embedded(None, torch.zeros(3, 2, 2)).shape
    torch.Size([3, 4])
    """
    encoder, device = encoder_of(learner), torch.device("cpu") if learner is None else learner.device
    if learner is None or encoder is None:
        return x.flatten(1).to(torch.float32)
    with evaluating(learner):
        return torch.cat([features(encoder, part.to(device)).cpu() for part in x.split(AT_ONCE)])


def encoder_of(learner: Learner | None) -> Any:
    """The net that a learner embeds inputs with, alone or inside a wrapper such as `Standardised`; None without one."""
    while learner is not None and getattr(learner, "encoder", None) is None:
        inner = getattr(learner, "learner", None)
        learner = inner if isinstance(inner, Learner) else None
    return None if learner is None else learner.encoder


class TaskMap:
    """Training and validation tasks as points: near each other where their examples, and their labels, are alike.

    The unit is the group, or the class where tasks are put together from classes. Its vector is the mean of its
    embedded examples. Where labels mean the same in all groups, the mean of each class less the mean of all follows
    (zero for a class that is missing); for a regression, how each target, in deviations of its group, goes with the
    embedding. So groups with the same inputs and other labels are apart. Test tasks are not looked at.

    Args:
        learner: whose encoder embeds; None, or one without an encoder, takes raw inputs, each number in deviations of
            (a thousand of) the examples on the map.
        source: of classes or groups.
        names: of the groups, by number; their numbers when None.
        rows: examples of a unit that are embedded at most; at most half of what it has, so that the others can test it.
        most: units at most, evenly from all.
        seed: of which examples and units are taken.

    Raises:
        UserError: tasks that are made of neither, or fewer than two of them.

    >>> from quickstudy.tasks.pool import Pool
    >>> pool = Pool.of(torch.tensor([[0.0], [1.0], [9.0]]).repeat(4, 1), list("abc") * 4)
    >>> places = TaskMap(None, Episodes(pool, ways=2, shots=1, queries=1))
    >>> (near,) = places.nearest(Examples(torch.tensor([[2.0]]), torch.tensor([0]), ways=1))
    >>> [found.name for found in near]
    ['b', 'a', 'c']
    """

    def __init__(
        self,
        learner: Learner | None,
        source: TaskSource,
        *,
        names: Sequence[str] | None = None,
        rows: int = 64,
        most: int = 300,
        seed: int = 0,
    ):
        self.learner, self.source, self.rows, self.rng = learner, source, rows, Rng(seed).at("task map")
        sides, of = rows_by_unit(source)
        if isinstance(source, Episodes):
            names = source.pool.classes
        names = [str(i) for i in range(len(sides))] if names is None else names
        if len(names) != len(sides):
            raise UserError(f"There are {len(names)} names for the {len(sides)} groups of '{source.name}'; give all.")
        sizes = torch.bincount(of, minlength=len(sides)).tolist()
        known = [i for i, side in enumerate(sides) if side in ("train", "validation") and sizes[i]]
        known = [known[i * len(known) // min(most, len(known))] for i in range(min(most, len(known)))]
        if len(known) < 2:
            raise UserError(f"'{source.name}' has {len(known)} training and validation tasks; a map needs two.")
        self.names, self.sides = tuple(names[i] for i in known), tuple(sides[i] for i in known)
        self.unit = "class" if isinstance(source, Episodes) else "task"
        self.shared = len(source.classes) if isinstance(source, ClassGroups) and source.labels == "shared" else 0
        taken = [self._dealt((of == i).nonzero().flatten(), i) for i in known]
        self._kept_out = [rest for _, rest in taken]
        self.scale = torch.ones(())
        if encoder_of(learner) is None:
            every = torch.cat([mine for mine, _ in taken])
            deviation = self._rows(every[:: 1 + len(every) // SCALED_BY]).std(0, correction=0)
            self.scale = torch.where(deviation > 0, deviation, 1)
        self.vectors = torch.stack([self._vector(self._rows(mine) / self.scale, self._y(mine)) for mine, _ in taken])

    def _dealt(self, mine: Tensor, unit: int) -> tuple[Tensor, Tensor]:
        """Rows of a unit that make its vector, and as many as a support set that test it; none where it has one row."""
        mine = mine[torch.randperm(len(mine), generator=self.rng.at(unit).generator())]
        half = (len(mine) + 1) // 2
        return mine[: min(half, self.rows)], mine[half : half + self._support_rows()]

    def _support_rows(self) -> int:
        shots: Any = getattr(self.source, "shots", 1)
        each = max(1, shots if isinstance(shots, int) else shots[0])
        ways: Any = self.source.protocol["ways"] if isinstance(self.source, ClassGroups) else 1
        return each * (ways if isinstance(ways, int) else ways[1])

    def _rows(self, rows: Tensor) -> Tensor:
        source: Any = self.source
        return embedded(self.learner, inputs_of(source.pool.x if self.unit == "class" else source.x, rows))

    def _y(self, rows: Tensor) -> Tensor:
        source: Any = self.source
        return (source.pool.y if self.unit == "class" else source.y)[rows]

    def _vector(self, z: Tensor, y: Tensor) -> Tensor:
        """(d,) or longer: what stands for a task with embedded examples (n, d) and labels."""
        mean = z.mean(0)
        parts = [mean]
        for c in range(self.shared):
            parts.append(z[y == c].mean(0) - mean if bool((y == c).any()) else torch.zeros_like(mean))
        if isinstance(self.source, Groups):
            deviation = y.std(0, correction=0)
            goes = (y - y.mean(0)) / torch.where(deviation > 0, deviation, 1)
            parts.append((goes.to(z.dtype).T @ (z - mean) / len(z)).flatten())
        return torch.cat(parts)

    def vectors_of(self, support: Examples) -> list[Tensor]:
        """The vector of a new task; that of each of its classes, empty for one without examples, on a map of classes.

        Raises:
            UserError: its labels are not those of the tasks on the map.
        """
        real = torch.ones(len(support), dtype=torch.bool) if support.mask is None else support.mask
        z, y = embedded(self.learner, support.x[real]) / self.scale, support.y[real]
        if self.unit == "class":
            return [self._vector(z[y == c], y) if bool((y == c).any()) else z[:0, 0] for c in range(support.ways or 0)]
        if self.shared and support.ways != self.shared:
            raise UserError(
                f"The new task has {support.ways} classes, but those on the map share {self.shared}; number its labels"
                " as theirs."
            )
        return [self._vector(z, y)]

    def nearest(self, support: Examples, k: int = 5) -> tuple[tuple[Similar, ...], ...]:
        """The k past tasks nearest to a new one, by Euclidean distance; those of each class, on a map of classes."""
        return tuple(self._near(v, k) if len(v) else () for v in self.vectors_of(support))

    def _near(self, vector: Tensor, k: int) -> tuple[Similar, ...]:
        far = (self.vectors - vector).norm(dim=1)
        order = far.argsort(stable=True)[:k].tolist()
        return tuple(Similar(self.names[i], self.sides[i], float(far[i])) for i in order)

    def distances(self) -> Tensor:
        """(units, units) between all pairs."""
        return torch.stack([(self.vectors - vector).norm(dim=1) for vector in self.vectors])

    def axes(self) -> tuple[Tensor, Tensor, list[float]]:
        """Mean (d,), the two directions (2, d) in which the vectors differ most, and their shares of all variance."""
        mean = self.vectors.mean(0)
        _, s, directions = torch.linalg.svd(self.vectors - mean, full_matrices=False)
        # A direction is one of two that are as good; the largest part being above 0 makes the map the same every time.
        sign = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
        two = torch.zeros(2, len(mean)).index_copy(0, torch.arange(min(2, len(s))), (directions * sign)[:2])
        share = (s.square() / s.square().sum().clamp(min=1e-30))[:2].tolist()
        return mean, two, share + [0.0] * (2 - len(share))

    def recognised(self) -> list[float]:
        """1 for each unit that is nearest to itself by as many other examples as a support set has, else 0."""
        found = []
        for i, rows in enumerate(self._kept_out):
            if len(rows):
                vector = self._vector(self._rows(rows) / self.scale, self._y(rows))
                found.append(float(int((self.vectors - vector).norm(dim=1).argmin()) == i))
        return found
