"""A Gaussian over the scores of all candidates, learned from past data sets in closed form (empirical Bayes)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers import gp
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from ..past.choosing import chosen, parted
from ..past.prior import SPREADS, Prior, Setting, likelihood, nearness, scaled, standard
from ..past.scores import Past
from ..past.seen import Known, anchored
from ..search.calibration import between, errors, factors
from ..search.mixture import Mixture, heaviest
from ..search.surrogate import Surrogate, trials
from .portfolio import greedy

FEW = 4  # held-out data sets of a fold that answers are compared on


@pytree
class Conditioned:
    """The trials, and the prior conditioned on them.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
        near: (D,) log prior weight of each past data set.
        factor: (T, n, n) Cholesky factors of the trials' covariance for each spread, in units of the width.
        white: (T, n) scores less the mean of the best, whitened.
        centres: (T, n, D) what each past data set makes one expect of them, whitened.
        log_weight: (T, D, S) log weight of each spread, past data set and width.
    """

    x: Tensor
    y: Tensor
    near: Tensor
    factor: Tensor
    white: Tensor
    centres: Tensor
    log_weight: Tensor


class CandidateGaussian(Surrogate):
    """Past data sets as centres of a mixture, and how the rest of them scatters around; exact, in milliseconds.

    A candidate's score on a new data set is what it was on one of the past, shrunk to the mean of all (`likeness`),
    plus a Gaussian whose covariance is that of the past, shrunk to a kernel over encodings: so a trial speaks for the
    candidates that did well where it did, for those like it, and for past data sets like the new one. At likeness 0 it
    is the empirical-Bayes Gaussian; near 1, a portfolio that minds its trials. Best score and width of the new data set
    are averaged over. What has to be chosen is chosen by the density of held-out data sets, on which intervals are
    widened until they hold. Missing cells are filled in by probabilistic principal components.

    Args:
        likeness: 0 up to 1; None to choose it.

    Raises:
        UserError: likeness out of range; (in meta_fit) no past data set tells candidates apart; (in adapt) nothing was
            learned yet, or candidates have other columns than those of the past.

    >>> from quickstudy.tasks.scores.candidates import Candidates
    >>> scores = torch.tensor([[0.9, 0.8, 0.1], [0.8, 0.9, 0.2], [0.1, 0.2, 0.9], [0.2, 0.1, 0.8]]).double()
    >>> learner, candidates = CandidateGaussian(), Candidates.named(["deep", "wide", "linear"])
    >>> learner.meta_fit(ScoreTable(("a", "b", "c", "d"), candidates, scores.unsqueeze(2)))
    >>> state = learner.adapt(Examples(candidates.x[:1], torch.tensor([[0.15]])))
    >>> learner.acquire(state, candidates.x[1:]).argmax().item()
    1
    """

    State = Conditioned
    centre: Tensor
    root: Tensor
    amplitude: Tensor
    noise: Tensor
    location: Tensor
    best: Tensor
    log_width: Tensor
    encoding: Tensor
    features: Tensor
    scale: Tensor
    setting: Tensor
    inverse: Tensor
    widenings: Tensor
    anchor: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, *, likeness: float | None = None):
        super().__init__()
        if likeness is not None and not 0 <= likeness < 1:
            raise UserError(f"likeness is {likeness}; it is at least 0 and below 1.")
        self.likeness = likeness
        for name in ("anchor", "rows", "columns"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        others = ("encoding", "features", "scale", "setting", "inverse", "widenings")
        for name in (*(field.name for field in dataclasses.fields(Prior)), *others):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    @torch.no_grad()
    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Learn from past data sets: choose the setting, keep the prior, and see how sure its answers may be."""
        past, rng = Past.of(table), rng or Rng(0)
        setting = chosen(past, {} if self.likeness is None else {"likeness": self.likeness}, rng)
        self._keep(past, setting)
        if len(past) > 2:
            self.set_buffer("widenings", factors(_held_out_errors(past, setting, rng)))

    def _keep(self, past: Past, setting: Setting) -> None:
        prior = Prior.of(past, setting)
        features, scale = standard(past.features, len(past))
        kept = {field.name: getattr(prior, field.name) for field in dataclasses.fields(Prior)}
        kept |= {"encoding": past.encoding, "features": features, "scale": scale}
        kept |= {"setting": torch.tensor(dataclasses.astuple(setting), dtype=torch.float64)}
        kept |= {"rows": past.rows, "columns": past.columns}
        kept["anchor"], kept["inverse"] = anchored(past.encoding, setting)
        for name, value in kept.items():
            self.set_buffer(name, value)

    def knows(self, x: Float[Tensor, "n numbers"]) -> bool:
        return len(self.setting) > 0 and x.shape[1] == 1 + self.encoding.shape[1]

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Conditioned:
        del rng
        self._check(support.x)
        new = self.features.new_zeros(1, self.features.shape[1])
        if description is not None:
            new = scaled(gp.widened(description).unsqueeze(0), self.scale)
        near = nearness(self.features, new, float(self._setting.bandwidth))[0]
        return self._after(*trials(support), near)

    def update(self, state: Conditioned, examples: Examples) -> Conditioned:
        x, y = trials(examples)
        return self._after(torch.cat([state.x, x]), torch.cat([state.y, y]), state.near)

    def _check(self, x: Tensor) -> None:
        if not len(self.setting):
            raise UserError("CandidateGaussian has learned from no past data set yet; call meta_fit(table) first.")
        if not self.knows(x):
            raise UserError(
                f"Candidates of the past have {self.encoding.shape[1]} columns, these have {x.shape[1] - 1};"
                " SafeTransfer goes on without the past where the search space is another."
            )

    def _after(self, x: Tensor, y: Tensor, near: Tensor) -> Conditioned:
        seen = (known := self._known).seen(x)
        own = gp.noisy(known.covariance(seen, seen), self.noise)
        factor = gp.cholesky(self._spreads * own + self.location)
        white = gp.whiten(factor, (y - self.best).unsqueeze(1)).squeeze(-1)
        centres = gp.whiten(factor, seen.centre.T)
        likely = likelihood(white, centres, known.prior, factor) + near.unsqueeze(1)
        return Conditioned(x, y, near, factor, white, centres, likely - math.log(len(SPREADS) * len(self.log_width)))

    @property
    def _spreads(self) -> Float[Tensor, "t 1 1"]:
        return self.noise.new_tensor(SPREADS).square()[:, None, None]

    def widening(self, state: Conditioned) -> float | Tensor:
        return between(self.widenings, len(state.y)) if len(self.widenings) else 1.0

    def tried(self, state: Conditioned) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Conditioned, x: Float[Tensor, "q numbers"]) -> Mixture:
        known, spreads = self._known, self._spreads
        asked = known.seen(gp.widened(x))
        covariance = spreads * known.covariance(known.seen(state.x), asked) + self.location
        across = gp.whiten(state.factor, covariance)  # (T, n, q)
        log_weight = state.log_weight.flatten()
        kept = heaviest(log_weight)
        width = self.log_width.exp()[kept % len(self.log_width)].unsqueeze(1)
        # Far fewer pairs of spread and data set are looked at than there are widths to each.
        pairs, place = (kept // len(self.log_width)).unique(return_inverse=True)
        t, d = pairs // len(self.centre), pairs % len(self.centre)
        shapes = asked.centre[d]
        for i in range(len(SPREADS)):
            shapes[t == i] -= state.centres[i, :, d[t == i]].T @ across[i]
        level = self.best + (state.white.unsqueeze(1) @ across).squeeze(1)  # (T, q)
        own = asked.root.square().sum(0) + asked.amplitude.square()
        variance = (spreads[:, 0] * own + self.location - across.square().sum(1)).clamp(min=1e-12)
        noise = (spreads[:, 0] * self.noise).expand_as(variance)
        square, of = width.square(), t[place]
        return Mixture(log_weight[kept], level[of] + width * shapes[place], square * variance[of], square * noise[of])

    def alike(self, state: Conditioned) -> Float[Tensor, " d"]:
        """How much each past data set counts, adding up to 1; `rows` says which they are."""
        return state.log_weight.logsumexp((0, 2)).softmax(0)

    @property
    def _setting(self) -> Setting:
        return Setting(*self.setting.tolist())

    @property
    def _known(self) -> Known:
        prior = Prior(*(getattr(self, field.name) for field in dataclasses.fields(Prior)))
        return Known(prior, self._setting, self.encoding, self.columns, self.anchor, self.inverse)


def _held_out_errors(past: Past, setting: Setting, rng: Rng) -> Iterator[tuple[int, Tensor]]:
    """Errors on some held-out past data sets, whose candidates are tried in the order of a portfolio."""
    for fold in parted(past, rng):
        learner = CandidateGaussian()
        learner._keep(dataclasses.replace(fold.past, columns=torch.arange(len(past.encoding))), setting)
        order = greedy(-fold.past.scores, torch.ones(len(past.encoding), dtype=torch.float64))
        for row in range(min(FEW, len(fold.held))):
            known = fold.held.known[row].nonzero().flatten()
            x = torch.cat([known.unsqueeze(1).double(), past.encoding[known]], 1)
            place = torch.full((len(past.encoding),), -1).scatter(0, known, torch.arange(len(known)))[order]
            description = None if fold.held.features is None else fold.held.features[row]
            y = fold.held.raw[row, known].unsqueeze(1)
            yield from errors(learner, Examples(x, y), place[place >= 0], description)
