"""Tasks that are functions: each episode is a curve of its own, seen at a few points."""

from __future__ import annotations

import abc
import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..task import Examples, Task
from .episodes import Count
from .source import TaskSource

Range = float | tuple[float, float]  # a number, or (least, most): drawn uniformly, anew in every episode


class Functions(TaskSource):
    """One function an episode: what a family of functions adds is `_values`, and its options.

    The splits are one distribution under different keys. An option has a key of its own, and so has the support: with
    other queries or other noise the functions stay the same. Where shots or queries are ranges, batches are padded and
    masked, always to the same length.

    Attributes:
        own: the options that an episode may have its own value of, which `truth` tells.
    """

    kind = "regression"
    own: ClassVar[tuple[str, ...]]
    shots: Count
    queries: Count
    points: int | None
    noise: float
    x: tuple[float, float]
    _shots: tuple[int, int]  # both ends
    _queries: tuple[int, int]

    @abc.abstractmethod
    def _values(self, x: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        """(T, n) function values, without noise, at (T, n) places."""

    def prepare(self) -> None:
        self._shots, self._queries = _whole("shots", self.shots), _whole("queries", self.queries)
        most, fewest = self._shots[1], self._queries[0]
        if self.points is not None and (not isinstance(self.points, int) or self.points < most + fewest):
            raise UserError(
                f"points is {self.points}; it must be a whole number of at least {most + fewest}, since a task may have"
                f" {most} shots and has {fewest} queries or more."
            )
        if not 0 <= self.noise < math.inf:
            raise UserError(f"noise is {self.noise}; it is a standard deviation and must be at least 0.")
        low, high = ends("x", self.x)
        if low == high:
            raise UserError(f"x is {self.x}; give a range (least, most), for at one place all functions look alike.")
        for name in self.own:
            ends(name, getattr(self, name))

    @property
    def protocol(self) -> dict[str, Any]:
        """The source, shots and queries, and every option that is not as it is by default."""
        told = {"source": self.name, "shots": self.shots, "queries": self.queries}
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name not in ("self", "seed", "split", *told) and getattr(self, name) != parameter.default:
                told[name] = getattr(self, name)
        return told

    def truth(self, first: int, count: int) -> dict[str, Tensor]:
        """What an episode's function is made of: (T,) float64 values of each option in `own`, and of the noise.

        >>> Sinusoids(amplitude=2.0).truth(first=0, count=2)["amplitude"]
        tensor([2., 2.], dtype=torch.float64)
        """
        episodes = np.arange(first, first + count)
        made = {name: torch.from_numpy(self._option(name, episodes)[:, 0]) for name in self.own}
        return made | {"noise": torch.full((count,), self.noise, dtype=torch.float64)}

    def sample(self, first: int, count: int) -> Task:
        episodes = np.arange(first, first + count)
        x = self._places(episodes)
        y = self._values(x, episodes) + self.noise * self._normal("noise", episodes)
        inputs, targets = (torch.from_numpy(a.astype(np.float32)).unsqueeze(-1) for a in (x, y))
        most, longest = self._shots[1], self._queries[1]
        if not self._ragged:
            return Task(Examples(inputs[:, :most], targets[:, :most]), Examples(inputs[:, most:], targets[:, most:]))
        shots, queries = (torch.from_numpy(a) for a in self._counts(episodes))
        begin = torch.zeros_like(shots)
        return Task(_part(inputs, targets, begin, shots, most), _part(inputs, targets, shots, queries, longest))

    @property
    def _ragged(self) -> bool:
        """Whether episodes differ in their numbers of points."""
        return any(low < high for low, high in (self._shots, self._queries))

    def _counts(self, episodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, 1) each episode's own numbers of shots and of queries, every number being equally likely."""
        uniform = self.rng.at("shape").uniform(episodes, 2)
        (low, high), (fewest, most) = self._shots, self._queries
        shots = low + (uniform[:, :1] * (high - low + 1)).astype(np.int64)
        room = most if self.points is None else np.minimum(most, self.points - shots)
        return shots, fewest + (uniform[:, 1:] * (room - fewest + 1)).astype(np.int64)

    def _places(self, episodes: np.ndarray) -> np.ndarray:
        low, high = ends("x", self.x)
        uniform = self._row(episodes, lambda side, n: self.rng.at(side, "x").uniform(episodes, n))
        # As a learner gets them, in float32: the values belong to these places and not to ones that are a little off.
        return (low + (high - low) * uniform).astype(np.float32).astype(np.float64)

    def _normal(self, name: str, episodes: np.ndarray) -> np.ndarray:
        return self._row(episodes, lambda side, n: self.rng.at(side, name).normal(episodes, n))

    def _row(self, episodes: np.ndarray, draw: Callable[[str, int], np.ndarray]) -> np.ndarray:
        """Numbers of an episode's support points, then of its queries, then of points that only fill the row."""
        most, longest = self._shots[1], self._queries[1]
        numbers = np.concatenate([draw("support", most), draw("query", longest)], axis=1)
        if not self._ragged:
            return numbers
        shots = self._counts(episodes)[0]
        place = np.arange(min(most + longest, self.points or most + longest))
        after = np.where(place < shots + longest, most + place - shots, place - longest)
        return np.take_along_axis(numbers, np.where(place < shots, place, after), axis=1)

    def _option(self, name: str, episodes: np.ndarray) -> np.ndarray:
        """(T, 1) each episode's own value of an option that may be a range."""
        low, high = ends(name, getattr(self, name))
        return low + (high - low) * self.rng.at(name).uniform(episodes, 1)


class Sinusoids(Functions):
    """Sine curves y = amplitude * sin(x - phase), the regression of the MAML paper.

    Unlike GPDraws two numbers say everything, so ten points are enough to know a curve.

    Args:
        shots: support points, a number or (least, most).
        queries: query points, likewise; 10 in the paper's training, more make a test sharper.
        points: how many support and query points there may be together, where these are ranges.
        amplitude: of the curves, a number or (least, most).
        phase: in radians, a number or (least, most).
        x: where points may lie (least, most).
        noise: standard deviation of what is added to every y, the queries included.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Returns:
        Tasks with x (T, n, 1) and y (T, n, 1), float32, without ways and without origin; masked where they differ in n.

    Raises:
        UserError: an option that makes no sense; the message names it.

    Source: Finn et al. 2017 (arXiv:1703.03400), section 5.1; the phase as in github.com/cbfinn/maml.

    >>> task = Sinusoids(shots=5, queries=100).sample(first=0, count=3)
    >>> task.support.x.shape, task.query.y.shape, task.kind
    (torch.Size([3, 5, 1]), torch.Size([3, 100, 1]), 'regression')
    """

    own = ("amplitude", "phase")

    def __init__(
        self,
        *,
        shots: Count = 10,
        queries: Count = 10,
        points: int | None = None,
        amplitude: Range = (0.1, 5.0),
        phase: Range = (0.0, math.pi),
        x: tuple[float, float] = (-5.0, 5.0),
        noise: float = 0.0,
        seed: int = 0,
        split: str = "train",
    ):
        self.shots, self.queries, self.points = shots, queries, points
        self.amplitude, self.phase = amplitude, phase
        self.x, self.noise, self.seed, self.split, self.name = x, noise, seed, split, "sinusoids"
        self.prepare()

    def _values(self, x: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        return self._option("amplitude", episodes) * np.sin(x - self._option("phase", episodes))


def ends(name: str, value: Range) -> tuple[float, float]:
    pair = (value, value) if isinstance(value, int | float) else tuple(value)
    if len(pair) != 2 or not all(math.isfinite(end) for end in pair) or pair[0] > pair[1]:
        raise UserError(f"{name} is {value}; it must be a number, or a pair (least, most).")
    return float(pair[0]), float(pair[1])


def _whole(name: str, count: Count) -> tuple[int, int]:
    pair = (count, count) if isinstance(count, int) else tuple(count) if isinstance(count, tuple | list) else ()
    if len(pair) != 2 or not all(isinstance(end, int) for end in pair) or not 1 <= pair[0] <= pair[1]:
        raise UserError(f"{name} is {count}; it must be a whole number of at least 1, or a pair (least, most) of them.")
    return pair[0], pair[1]


def _part(x: Tensor, y: Tensor, begin: Tensor, count: Tensor, length: int) -> Examples:
    """The (T, length) points of one side, `count` of each row from `begin` on, the rest being padding."""
    place = torch.arange(length)
    mask = place < count
    columns = torch.where(mask, begin + place, 0).unsqueeze(-1)
    inputs, targets = (torch.where(mask.unsqueeze(-1), a.gather(1, columns), 0) for a in (x, y))
    return Examples(inputs, targets, mask)
