"""What a scenario of algorithm selection is: algorithms, instances, and what is known of each before any runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from ..candidates import Candidates
from ..table import ScoreTable

PENALTY = 10  # a run that did not solve its instance counts as this many cut-off times: PAR10


@dataclasses.dataclass(frozen=True)
class Scenario:
    """How algorithms did on instances of a problem, with what is known of each instance before any of them runs.

    Args:
        name: of the folder.
        instances: what was to be solved.
        algorithms: what can be chosen.
        performance: (I, A) float64 as measured, NaN where unknown.
        solved: (I, A) whether the run ended well, within the cut-off.
        features: (I, m) of the instances, NaN where one could not be computed.
        feature_names: of the m.
        feature_cost: (I,) seconds that these features take; zeros where nobody timed them.
        folds: (I,) the official fold of each, numbered from 1.
        cutoff: seconds after which a run is stopped; None where performance is not a time.
        maximise: whether more is better.
        steps: the groups that features are computed in, and the features of each.
    """

    name: str
    instances: tuple[str, ...]
    algorithms: tuple[str, ...]
    performance: Tensor
    solved: Tensor
    features: Tensor
    feature_names: tuple[str, ...]
    feature_cost: Tensor
    folds: Tensor
    cutoff: float | None
    maximise: bool
    steps: Mapping[str, tuple[str, ...]]

    @property
    def par10(self) -> Tensor:
        """(I, A) seconds, ten cut-offs for what was not solved; the performance itself where it is not a time."""
        if self.cutoff is None:
            return self.performance
        return torch.where(self.solved, self.performance, PENALTY * self.cutoff)

    @property
    def table(self) -> ScoreTable:
        """An instance as a data set, an algorithm as a candidate, `par10` as the score."""
        return ScoreTable(
            self.instances,
            Candidates.named(self.algorithms),
            self.par10.unsqueeze(-1),
            cost=self.performance.unsqueeze(-1) if self.cutoff is not None else None,
            features=self.features,
            feature_names=self.feature_names,
            maximise=self.maximise,
        )

    def select(self, rows: Tensor) -> Scenario:
        """The scenario of some instances, by their numbers or a mask."""
        numbers = torch.arange(len(self.instances))[rows]
        tensors = ("performance", "solved", "features", "feature_cost", "folds")
        chosen = {name: getattr(self, name)[numbers] for name in tensors}
        return dataclasses.replace(self, instances=tuple(self.instances[i] for i in numbers.tolist()), **chosen)
