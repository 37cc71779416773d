"""What all searches are: they adapt to trials, answer with a mixture of Gaussians, and choose by it."""

from __future__ import annotations

import abc
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...functional.solvers.gp import widened
from ...learner import Learner
from ...outputs import Gaussian
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from .mixture import Mixture


class Surrogate(Learner):
    """Trials on one data set are its support set, and the score of a candidate is what is asked.

    Inputs are (n, 1 + e): the number of a candidate in the table that was learned from (-1 for one that the table never
    had), and its encoding; targets are (n, 1), higher is better, in raw units. No trial at all is a legal support set.
    `acquire` says how much it is worth to try each candidate next: expected improvement over the best trial, or, before
    the first, the expected score.
    """

    kinds = ("regression",)
    zero_shot = True
    meta_gradient = "none"
    one_by_one = "how many trials there are decides what is computed"

    @abc.abstractmethod
    def mixture(self, state: Any, x: Float[Tensor, "q numbers"]) -> Mixture:
        """What is believed of each candidate, weighed by the evidence."""

    @abc.abstractmethod
    def tried(self, state: Any) -> Examples:
        """The trials that a state has seen."""

    def knows(self, x: Float[Tensor, "n numbers"]) -> bool:
        """Whether what was learned says anything of candidates that are described like these."""
        del x
        return True

    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Learn from past data sets; a search that has no use for them learns nothing."""
        del table, rng

    def predict(self, state: Any, x: Float[Tensor, "q numbers"]) -> Gaussian:
        mean, variance = self.mixture(state, x).moments()
        variance = variance * self.widening(state) ** 2
        return Gaussian(mean.unsqueeze(1).to(x.dtype), variance.unsqueeze(1).to(x.dtype))

    def widening(self, state: Any) -> float | Tensor:
        """How many times wider intervals have to be than the mixture says, to hold as often as they claim."""
        del state
        return 1.0

    def acquire(self, state: Any, x: Float[Tensor, "q numbers"], *, kind: str = "regression") -> Float[Tensor, " q"]:
        del kind
        mixture, tried = self.mixture(state, x), self.tried(state)
        return mixture.improvement(tried.y.max()) if len(tried) else mixture.moments()[0]

    def set_buffer(self, name: str, value: Tensor) -> None:
        """Keep what was learned from past data sets, whatever its shape was before."""
        self._buffers[name] = value.detach().clone()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        # How many data sets and candidates there were is known from the file alone.
        for name, own in self._buffers.items():
            there = state_dict.get(prefix + name)
            if own is not None and there is not None and own.shape != there.shape:
                self._buffers[name] = own.new_empty(there.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def trials(support: Examples) -> tuple[Float[Tensor, "n numbers"], Float[Tensor, " n"]]:
    """Candidates and scores of the trials, in float64."""
    return widened(support.x), widened(support.y[:, 0])


def key_of(rng: Rng | None) -> Tensor:
    """() a number to keep in a state, from which its choices are drawn."""
    return torch.tensor((rng or Rng(0)).number)
