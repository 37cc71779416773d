"""Judging selectors as ASlib does: what they pay to solve instances that they never saw, between two yardsticks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import UserError
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.reading.scenario import Scenario
from ...tasks.scores.running.procedure import Procedure, paid

RESAMPLES = 2000
FREE = Procedure(featured=False)


class Selecting(Protocol):
    """A learner that chooses an algorithm for an instance, and says what to run before it is asked."""

    @property
    def procedure(self) -> Procedure: ...
    def meta_fit(self, past: Scenario) -> None: ...
    def adapt(self, support: Examples, description: Tensor | None = None) -> Any: ...
    def acquire(self, state: Any, x: Tensor) -> Tensor: ...


@dataclasses.dataclass(frozen=True)
class Selection:
    """What was paid for the instances of a scenario, each by a selector that was fitted to the other folds.

    Args:
        name: of the scenario.
        paid: (I,) PAR10 seconds with schedule and features, or what quality lacks of the best; lower is better.
        single: (I,) the same of the algorithm that was best on average over the other folds.
        virtual: (I,) the same of the best algorithm for each instance.
        chosen: (I,) algorithms.
        procedures: of each fold.
    """

    name: str
    paid: Tensor
    single: Tensor
    virtual: Tensor
    chosen: Tensor
    procedures: tuple[Procedure, ...]

    @property
    def gap_closed(self) -> float:
        """0 for the single best algorithm, 1 for a perfect choice without any cost, below 0 for harm."""
        return float(_closed(self.paid.mean(), self.single.mean(), self.virtual.mean()))

    def interval(self, rng: Rng, *, confidence: float = 0.95) -> tuple[float, float]:
        """Between which values `gap_closed` lies, by bootstrap over instances."""
        count = len(self.paid)
        rows = torch.randint(count, (RESAMPLES, count), generator=rng.generator())
        closed = _closed(*(values[rows].mean(1) for values in (self.paid, self.single, self.virtual)))
        tails = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=closed.dtype)
        low, high = closed.quantile(tails).tolist()
        return low, high


def judge_selection(make: Callable[[], Selecting], scenario: Scenario, *, folds: int | None = None) -> Selection:
    """Every instance answered for by a selector that learned from the other official folds.

    Args:
        make: a new selector, for each fold.
        folds: only the first so many are answered for, for a smoke run; None for all.

    Raises:
        UserError: all instances are of one fold.
    """
    numbers = scenario.folds.unique()
    if len(numbers) < 2:
        raise UserError(f"The scenario '{scenario.name}' has one fold; the instances to learn from are in the others.")
    parts, procedures = [], []
    for number in numbers[:folds]:
        past, asked = (scenario.select(rows) for rows in (scenario.folds != number, scenario.folds == number))
        learner = make()
        learner.meta_fit(past)
        chosen = choices(learner, asked)
        usual = torch.full_like(chosen, int(past.table.final.nanmean(0).argmax()))
        each = [paid(asked, torch.full_like(chosen, a), FREE) for a in range(len(asked.algorithms))]
        both = (paid(asked, chosen, learner.procedure), paid(asked, usual, FREE))
        parts.append((*both, torch.stack(each).amin(0), chosen))
        procedures.append(learner.procedure)
    own, single, virtual, chosen = (torch.cat(column) for column in zip(*parts, strict=True))
    return Selection(scenario.name, own, single, virtual, chosen, tuple(procedures))


def choices(learner: Selecting, scenario: Scenario) -> Tensor:
    """(I,) the algorithm that a fitted selector takes for each instance, before any was run on it."""
    table = scenario.table
    x = table.candidates.x
    nothing = Examples(x[:0], x[:0, :1])
    rows = scenario.features.unbind()
    return torch.stack([learner.acquire(learner.adapt(nothing, row), x).argmax() for row in rows])


def _closed(paid: Tensor, single: Tensor, virtual: Tensor) -> Tensor:
    """Shares of the gap; 0 where there is none."""
    return torch.where(single > virtual, (single - paid) / (single - virtual), 0.0)
