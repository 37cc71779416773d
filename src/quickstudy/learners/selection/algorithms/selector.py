"""Selecting by what is known of a data set: the past says what to expect, and how expectations err together."""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ....errors import UserError
from ....learner import Learner
from ....outputs import Gaussian
from ....pytree import pytree
from ....rng import Rng
from ....task import Examples
from ....tasks.scores.reading.scenario import Scenario
from ....tasks.scores.running.procedure import Procedure
from ....tasks.scores.table import ScoreTable
from .utility import completed, scored, units, utility

TAIL = 1.6448536269514722  # deviations to the ends of the central 90 % of a Gaussian
NOISE = 1e-6  # of a score that was seen, as a share of the variance of one that was not


@pytree
class Belief:
    """How good each of C candidates is likely to be on one data set.

    Args:
        mean: (C,) float64 worth of the scores (`utility`), higher is better.
        covariance: (C, C).
    """

    mean: Tensor
    covariance: Tensor


class Selector(Learner, abc.ABC):
    """Expects the scores of all candidates from the meta-features of a data set, before any of them was tried.

    What is common to all selectors: they are fitted to a table of past data sets (`meta_fit`), which also answers for
    each past data set from the others alone (`held_out`). How these answers err gives the covariance of a new one, by
    which a score that is seen moves what is expected of the other candidates (a Gaussian conditioned, in closed form).
    Costs count by their size and by their logarithm (`utility`). Features that are lacking are filled with the median
    of their column; what share of them lacked is a column of its own.

    Args:
        folds: parts of the past that are answered for by the others.

    Attributes:
        held_out: (D, C) worth expected of each past data set by a selector fitted without it; None before `meta_fit`.
    """

    State = Belief
    kinds = ("regression",)
    meta_gradient = "none"
    zero_shot = True
    one_by_one = "what is expected of a data set is looked up, by its values"
    median: Tensor
    residual: Tensor
    units: Tensor
    held_out: Tensor | None = None

    def __init__(self, *, folds: int = 5):
        super().__init__()
        if folds < 2:
            raise UserError(f"folds is {folds}; at least two are needed to answer for one from the others.")
        self.folds = folds
        self.register_buffer("median", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("residual", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("units", torch.zeros(3, dtype=torch.float64))

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *rest: Any) -> None:
        # What was learned is as large as the past it was learned from, which an unfitted selector cannot know.
        for name, buffer in self._buffers.items():
            if buffer is not None and prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @abc.abstractmethod
    def fit(self, features: Float[Tensor, "D m"], scores: Float[Tensor, "D C"]) -> None:
        """Learn to expect the worth of scores from features, none of which is NaN."""

    @abc.abstractmethod
    def expected(self, features: Float[Tensor, "q m"]) -> Float[Tensor, "q C"]:
        """The worth of all candidates, for data sets with such features."""

    @property
    def procedure(self) -> Procedure:
        """What is run before it is asked: nothing, but features are computed."""
        return Procedure()

    @torch.no_grad()
    def meta_fit(self, past: ScoreTable | Scenario) -> None:
        """Learn from past data sets, which need meta-features.

        Raises:
            UserError: the data sets have no meta-features, or are fewer than the folds.
        """
        table = past.table if isinstance(past, Scenario) else past
        features, worth = self._past(table)
        self.held_out = cross_fitted(self, table, features, worth)
        self.fit(features, worth)
        self._learn_errors(worth)

    def _learn_errors(self, worth: Float[Tensor, "D C"]) -> None:
        assert self.held_out is not None
        errors = worth - self.held_out
        self.residual = shrunk(errors.T @ errors / len(errors), len(errors))

    def _past(self, table: ScoreTable) -> tuple[Tensor, Tensor]:
        if table.features is None or not table.features.shape[1]:
            raise UserError(
                f"{type(self).__name__} goes by meta-features, and these {len(table)} data sets have none; add some, or"
                " choose a learner that goes by scores alone."
            )
        if (apart := len(set(table.groups or table.datasets))) < self.folds:
            raise UserError(f"There are {apart} groups of data sets for {self.folds} folds; bring more or lower folds.")
        features, final = table.features.double(), table.final.double()
        self.median = torch.where(torch.isfinite(features), features, torch.nan).nanmedian(0).values.nan_to_num(0.0)
        self.units = units(final, table.maximise)
        return self._whole(features), completed(utility(final, self.units))

    def _whole(self, features: Float[Tensor, "D m"]) -> Float[Tensor, "D m1"]:
        """Features without NaN, and the share of them that is lacking."""
        lacking = ~torch.isfinite(features)
        filled = torch.where(lacking, self.median, features)
        return torch.cat([filled, lacking.double().mean(1, keepdim=True)], 1)

    @torch.no_grad()
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Belief:
        del rng
        if not len(self.residual):
            raise UserError(f"{type(self).__name__} has seen no past data set yet; call meta_fit(table) first.")
        if description is None:
            description = torch.full_like(self.median, torch.nan)
        mean = self.expected(self._whole(description.to(self.median).reshape(1, -1)))[0]
        return self.update(Belief(mean, self.residual), support)

    def update(self, state: Belief, examples: Examples) -> Belief:
        if not len(examples):
            return state
        number, known = _numbers(examples.x, len(state.mean))
        seen = F.one_hot(number, len(state.mean)).to(state.mean) * known.unsqueeze(1)  # (n, C)
        across = seen @ state.covariance
        noise = NOISE * self.residual.diagonal().mean() + torch.where(known, 1e-12, 1.0)
        gain = torch.linalg.solve(across @ seen.T + torch.diag(noise.expand(len(seen))), across).T
        worth = utility(examples.y[:, 0].to(state.mean), self.units)
        error = torch.where(known, worth - seen @ state.mean, 0.0)
        return Belief(state.mean + gain @ error, state.covariance - gain @ across)

    def predict(self, state: Belief, x: Float[Tensor, "q e"]) -> Gaussian:
        """Scores in raw units, the variance such that the central 90 % reach as far as they do in worth.

        A candidate that the past never had (number -1) is like any of those it had.
        """
        mean, deviation = self._worth(state, x)
        low, high = (scored(mean + side * TAIL * deviation, self.units) for side in (-1, 1))
        variance = ((high - low) / (2 * TAIL)).square().clamp(min=1e-12)
        return Gaussian(scored(mean, self.units).unsqueeze(1), variance.unsqueeze(1))

    def _worth(self, state: Belief, x: Float[Tensor, "q e"]) -> tuple[Tensor, Tensor]:
        number, known = _numbers(x, len(state.mean))
        own, centre = state.covariance.diagonal(), state.mean.mean()
        spread = own.mean() + (state.mean - centre).square().mean()
        variance = torch.where(known, own[number].clamp(min=NOISE * spread), spread)
        return torch.where(known, state.mean[number], centre), variance.sqrt()

    def acquire(self, state: Belief, x: Tensor, *, kind: str = "regression") -> Tensor:
        """What a candidate is expected to be worth: the one that is chosen is run, not explored."""
        del kind
        return self._worth(state, x)[0]


def _numbers(x: Float[Tensor, "q e"], count: int) -> tuple[Tensor, Tensor]:
    """(q,) number of each candidate, and whether the past had it."""
    number = x[:, 0].round().long()
    return number.clamp(0, count - 1), (number >= 0) & (number < count)


def cross_fitted(
    selector: Selector, table: ScoreTable, features: Float[Tensor, "D m"], worth: Float[Tensor, "D C"]
) -> Float[Tensor, "D C"]:
    """What is expected of every data set by a copy of the selector that was fitted without it and its group."""
    held_out = torch.empty_like(worth)
    for rest, fold in parted(table, selector.folds):
        apart = copy.deepcopy(selector)
        apart.fit(features[rest], worth[rest])
        held_out[fold] = apart.expected(features[fold])
    return held_out


def parted(table: ScoreTable, folds: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows that are learned from and rows that are answered for, in turn; groups stay together."""
    names = table.groups or table.datasets
    groups = sorted(set(names))
    order = torch.randperm(len(groups), generator=Rng(0, ("folds",)).generator()).tolist()
    fold = dict(zip(groups, (place % folds for place in order), strict=True))
    of = torch.tensor([fold[name] for name in names])
    for k in range(folds):
        yield (of != k).nonzero().flatten(), (of == k).nonzero().flatten()


def shrunk(covariance: Float[Tensor, "C C"], count: int) -> Float[Tensor, "C C"]:
    """A covariance of few data sets, its off-diagonal drawn to zero the more the fewer they are."""
    share = len(covariance) / (len(covariance) + count)
    return (1 - share) * covariance + share * torch.diag(covariance.diagonal())
