"""Selectors averaged, trusted only where that pays on past data sets; what is quickly solved is not asked about."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ....tasks.scores.reading.scenario import Scenario
from ....tasks.scores.running.procedure import Procedure, paid, scheduled
from ....tasks.scores.table import ScoreTable
from .factors import CollaborativeFiltering
from .forest import PerAlgorithm
from .nearest import NearestInstances
from .selector import Selector, cross_fitted
from .utility import completed, utility


class Guarded(Selector):
    """The single best candidate, the mean of several selectors, or one of them: what pays for past data sets left out.

    The single best gives way to the mean, and the mean to one of its parts, only where the saving over data sets left
    out (nested cross-validation) exceeds its standard error, so that chance does not choose. Fitted to a `Scenario`,
    it counts PAR10 with the cost of features, gives each of the options the pre-solving schedule that suits it best,
    and says in `procedure` what to run before it is asked; fitted to a table, it counts scores.

    Args:
        selectors: the parts; by default `PerAlgorithm`, `CollaborativeFiltering` and `NearestInstances`.
        steps: of a schedule at most; 0 for none.
        folds: see `Selector`.

    Source: pre-solving and choice by cross-validation, AutoFolio (Lindauer et al. 2015, doi:10.1613/jair.4726).
    """

    shares: Tensor
    usual: Tensor
    schedule: Tensor
    featured: Tensor

    def __init__(self, selectors: Sequence[Selector] | None = None, *, steps: int = 3, folds: int = 5):
        super().__init__(folds=folds)
        self.selectors, self.steps = selectors, steps
        self.parts = nn.ModuleList(selectors or [PerAlgorithm(), CollaborativeFiltering(), NearestInstances()])
        self.register_buffer("shares", torch.zeros(len(self.parts), dtype=torch.float64))
        self.register_buffer("usual", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("schedule", torch.zeros(0, 2, dtype=torch.float64))
        self.register_buffer("featured", torch.tensor(True))

    @property
    def procedure(self) -> Procedure:
        return Procedure(tuple((int(a), seconds) for a, seconds in self.schedule.tolist()), bool(self.featured))

    @torch.no_grad()
    def meta_fit(self, past: ScoreTable | Scenario) -> None:
        table = past.table if isinstance(past, Scenario) else past
        features, worth = self._past(table)
        self.usual = utility(completed(table.final.double()).mean(0), self.units)
        held_out = torch.stack([cross_fitted(part, table, features, worth) for part in self._parts], -1)
        single, count = torch.eye(len(self._parts), dtype=worth.dtype), len(self._parts)
        options = [torch.zeros_like(single[0]), torch.full_like(single[0], 1 / count), *single]
        judged = [self._judged(past, self._mixed(shares, held_out)) for shares in options]
        best = paying([costs for costs, _ in judged])
        self.shares, procedure = options[best], judged[best][1]
        self.schedule = torch.tensor(procedure.schedule, dtype=torch.float64).reshape(-1, 2)
        self.featured = torch.tensor(procedure.featured)
        self.held_out = self._mixed(self.shares, held_out)
        self.fit(features, worth)
        self._learn_errors(worth)

    def _judged(self, past: ScoreTable | Scenario, expected: Float[Tensor, "D C"]) -> tuple[Tensor, Procedure]:
        """(D,) what it costs to choose by these expectations, and the procedure that goes with them."""
        chosen, procedure = expected.argmax(1), Procedure(featured=bool((expected != expected[0]).any()))
        if isinstance(past, Scenario):
            procedure = scheduled(past, chosen, procedure, steps=self.steps)
            return paid(past, chosen, procedure), procedure
        return -completed(past.final.double()).gather(1, chosen.unsqueeze(1)).squeeze(1), procedure

    def _mixed(self, shares: Tensor, parts: Float[Tensor, "q C parts"]) -> Float[Tensor, "q C"]:
        return parts @ shares if bool(shares.any()) else self.usual.expand(parts.shape[:2])

    @property
    def _parts(self) -> list[Selector]:
        return [part for part in self.parts if isinstance(part, Selector)]

    def fit(self, features: Float[Tensor, "D m"], scores: Float[Tensor, "D C"]) -> None:
        for part, share in zip(self._parts, self.shares.tolist(), strict=True):
            if share:
                part.fit(features, scores)

    def expected(self, features: Float[Tensor, "q m"]) -> Float[Tensor, "q C"]:
        used = [(part, share) for part, share in zip(self._parts, self.shares.tolist(), strict=True) if share]
        if not used:
            return self.usual.expand(len(features), -1)
        return torch.stack([share * part.expected(features) for part, share in used]).sum(0)


def paying(costs: Sequence[Float[Tensor, " D"]]) -> int:
    """Which option to take: the first, the second or the cheapest of the rest, later ones only for a clear saving.

    >>> paying([torch.tensor([3.0, 3.0, 4.0]), torch.tensor([1.0, 1.0, 3.0]), torch.tensor([1.0, 0.0, 4.0])])
    1
    """
    later = [1, 2 + min(range(len(costs) - 2), key=lambda i: float(costs[2 + i].mean()))]
    taken = 0
    for option in later:
        saving = costs[taken] - costs[option]
        if float(saving.mean()) > float(saving.std() / len(saving) ** 0.5):
            taken = option
    return taken
