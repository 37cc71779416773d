"""N-way K-shot episodes from any labelled set (Vinyals et al. 2016, arXiv:1606.04080)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import NotEnoughExamples, UserError
from ..rng import distinct
from ..task import Examples, Origin, Task
from .jitter import NUMBERS, jittered
from .pool import Pool
from .source import TaskSource

AHEAD = 256  # episodes whose numbers are drawn at a time: few large operations instead of many small ones
Count = int | tuple[int, int]  # a number, or (least, most): drawn anew in every episode


class Episodes(TaskSource):
    """Draw some classes, give them labels in random order, draw support and query examples of each, all disjoint.

    Args:
        pool: what to draw from.
        ways: classes a task; a pair (least, most) draws the number anew in every episode.
        shots: support examples a class, or a pair; 0 is legal where the classes of the pool are described.
        queries: query examples a class.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.
        distort: how far pictures of the training split are turned, sheared, scaled and shifted, anew whenever they are
            drawn; 1 is up to 10 degrees, a tenth in shear and in size, and 2 of 28 pixels. Other splits are left alone.

    Raises:
        UserError: options that make no sense, or examples that are no pictures and are to be distorted.
        NotEnoughExamples: the split has too few classes, or a class too few examples; the message names them.

    >>> pool = Pool.of(torch.arange(12.0).view(12, 1), list("aaaabbbbcccc"))
    >>> task = Episodes(pool, ways=2, shots=1, queries=2).sample(first=0, count=5)
    >>> task.support.x.shape, task.query.y.shape
    (torch.Size([5, 2, 1]), torch.Size([5, 4]))
    """

    def __init__(
        self,
        pool: Pool,
        *,
        ways: Count = 5,
        shots: Count = 1,
        queries: int = 15,
        seed: int = 0,
        split: str = "train",
        distort: float = 0.0,
    ):
        self.pool, self.ways, self.shots, self.queries = pool, ways, shots, queries
        self.seed, self.split, self.distort = seed, split, distort
        self.prepare()

    def prepare(self) -> None:
        self.name = self.pool.name
        if not isinstance(self.queries, int):
            raise UserError(f"queries is {self.queries}; it must be a whole number, the same in every episode.")
        for name, count in (("ways", self.ways), ("shots", self.shots), ("queries", self.queries)):
            low, high = _range(count)
            least = 0 if name == "shots" and self.pool.descriptions is not None else 1
            if low < least or high < low:
                why = " (0 needs a pool whose classes are described)" if name == "shots" and low == 0 else ""
                raise UserError(f"{name} is {count}; it must be at least {least}, or a pair (least, most){why}.")
        if not 0 <= self.distort < math.inf:
            raise UserError(f"distort is {self.distort}; it must be at least 0, which leaves pictures as they are.")
        if self.distort and self.pool.x.ndim != 4:
            shape = tuple(self.pool.x.shape[1:])
            raise UserError(
                f"distort is for pictures (channels, height, width), and examples of '{self.name}' are {shape}."
            )
        self._classes = self.pool.members(self.split)
        order = torch.argsort(self.pool.y, stable=True)
        sizes = torch.bincount(self.pool.y, minlength=len(self.pool.classes))
        self._order, self._sizes, self._starts = order.numpy(), sizes.numpy(), (sizes.cumsum(0) - sizes).numpy()
        self._ahead: tuple[int, int, dict[str, Tensor]] = (0, 0, {})
        self._check()

    def _check(self) -> None:
        ways, shots = _range(self.ways)[1], _range(self.shots)[1]
        if len(self._classes) < ways:
            raise NotEnoughExamples(
                f"A task needs {ways} classes, but the {self.split} split of '{self.pool.name}' has"
                f" {len(self._classes)}. Lower ways, or give that split more classes."
            )
        need = shots + self.queries
        poor = [c for c in self._classes.tolist() if self._sizes[c] < need]
        if poor:
            some = ", ".join(f"'{self.pool.classes[c]}' has {self._sizes[c]}" for c in poor[:3])
            raise NotEnoughExamples(
                f"A task needs {shots} support + {self.queries} query examples of each class, but {some}"
                f"{f' and {len(poor) - 3} more classes have too few' if len(poor) > 3 else ''}."
                " Lower shots or queries, or leave these classes out."
            )

    @property
    def protocol(self) -> dict[str, Any]:
        return {"source": self.pool.name, "ways": self.ways, "shots": self.shots, "queries": self.queries}

    def sample(self, first: int, count: int) -> Task:
        drawn = self._drawn(first, count)
        ways, known = _range(self.ways)[1], self.pool.descriptions
        episodes = np.arange(first, first + count)
        return Task(
            Examples(self._inputs("support", drawn, episodes), drawn["y"], drawn.get("real"), ways=ways),
            Examples(self._inputs("query", drawn, episodes), drawn["asked"], drawn.get("real asked"), ways=ways),
            None if known is None else _rows(known, drawn["classes"] % len(known)),  # padding is -1
            Origin(drawn["support"], drawn["query"], drawn["classes"]),
        )

    def _inputs(self, side: str, drawn: dict[str, Tensor], episodes: np.ndarray) -> Tensor:
        x = _rows(self.pool.x, drawn[side])
        if not self.distort or self.split != "train":
            return x
        numbers = self.rng.at(side, "distort").uniform(episodes, x.shape[1] * NUMBERS).astype(np.float32)
        flat = jittered(x.flatten(0, 1), torch.from_numpy(numbers).view(-1, NUMBERS), self.distort)
        return flat.view_as(x)

    def _drawn(self, first: int, count: int) -> dict[str, Tensor]:
        """Rows, labels and masks of episodes, (T, ...) each; more than are asked for are drawn, since the next follow.

        An episode depends on its number alone, so it does not matter when it was drawn.
        """
        start, stop, kept = self._ahead
        if not start <= first <= first + count <= stop:
            start, stop = first, first + max(count, min(8 * count, AHEAD))
            kept = self._draw_all(np.arange(start, stop))
            self._ahead = (start, stop, kept)
        return {name: t[first - start : first - start + count].clone() for name, t in kept.items()}

    def _draw_all(self, episodes: np.ndarray) -> dict[str, Tensor]:
        ways, shots = _range(self.ways), _range(self.shots)
        places = self._draw(episodes, ways[1], shots[1] + self.queries)
        rows, classes = torch.from_numpy(places["rows"]), torch.from_numpy(places["classes"])
        support = self._side("support", episodes, rows[:, :, : shots[1]])
        query = self._side("query", episodes, rows[:, :, shots[1] :])
        drawn = {"support": support[0], "y": support[1], "query": query[0], "asked": query[1], "classes": classes}
        if ways[0] != ways[1] or shots[0] != shots[1]:
            masks, drawn["classes"] = self._ragged(episodes, support, query, classes)
            drawn["real"], drawn["real asked"] = masks
        return drawn

    def _draw(self, episodes: np.ndarray, ways: int, most: int) -> dict[str, np.ndarray]:
        count = len(episodes)
        among = np.full(count, len(self._classes))
        chosen = self._classes.numpy()[distinct(self.rng.at("classes").uniform(episodes, 2 * ways), among)]
        uniform = self.rng.at("examples").uniform(episodes, ways * 2 * most).reshape(count * ways, 2 * most)
        within = distinct(uniform, self._sizes[chosen].reshape(-1)).reshape(count, ways, most)
        return {"classes": chosen, "rows": self._order[self._starts[chosen][:, :, None] + within]}

    def _side(self, name: str, episodes: np.ndarray, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Row numbers and labels of one side in random order: their order must not tell the label."""
        count, ways, each = rows.shape
        shuffle = torch.from_numpy(np.argsort(self.rng.at(name, "order").uniform(episodes, ways * each), axis=1))
        labels = torch.arange(ways).repeat_interleave(each).expand(count, -1)
        return rows.flatten(1).gather(1, shuffle), labels.gather(1, shuffle)

    def _ragged(
        self, episodes: np.ndarray, support: tuple[Tensor, Tensor], query: tuple[Tensor, Tensor], classes: Tensor
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Masks that leave each episode its own number of ways and shots; real classes come first."""
        uniform = torch.from_numpy(self.rng.at("shape").uniform(episodes, 2))
        ways = _between(self.ways, uniform[:, 0]).unsqueeze(1)
        shots = _between(self.shots, uniform[:, 1]).unsqueeze(1)
        seen = torch.nn.functional.one_hot(support[1], _range(self.ways)[1]).cumsum(1)
        nth = seen.gather(2, support[1].unsqueeze(2)).squeeze(2)  # 1 for the first example of its class, and so on
        masks = ((support[1] < ways) & (nth <= shots), query[1] < ways)
        return masks, torch.where(torch.arange(classes.shape[1]) < ways, classes, -1)


def _rows(x: Tensor, numbers: Tensor) -> Tensor:
    """Rows of `x` by number, bytes scaled to 0..1; one gather, which is what a batch of episodes costs."""
    rows = x.index_select(0, numbers.flatten())
    return (rows.to(torch.float32).div_(255) if x.dtype == torch.uint8 else rows).unflatten(0, numbers.shape)


def _range(count: Count) -> tuple[int, int]:
    return (count, count) if isinstance(count, int) else count


def _between(count: Count, uniform: Tensor) -> Tensor:
    low, high = _range(count)
    return low + (uniform * (high - low + 1)).long().clamp(max=high - low)
