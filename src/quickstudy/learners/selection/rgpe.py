"""Ranking-weighted Gaussian process ensemble (Feurer et al. 2018, arXiv:1802.02219)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UserError
from ...functional.solvers import gp
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from ...tasks.scores.table import ScoreTable
from ..past.scores import Past
from ..search.mixture import Mixture
from ..search.surrogate import Surrogate, key_of, trials
from ..search.unordered import at_random

LENGTHS = (0.1, 0.2, 0.4, 0.8)  # of the diagonal of the space
NOISES = (1e-3, 1e-2, 1e-1)  # shares of the variance
SAMPLES = 256
POINTS = 400  # candidates that the process of a past data set runs through


@pytree
class Ensemble:
    """The trials, and the weight of each process.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
        weight: (D + 1,) of the past data sets, the data set's own process last.
        factor: (n, n) Cholesky factor of the trials under the own process.
        key: () number of the stream that rankings are sampled from.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    factor: Tensor
    key: Tensor


class RGPE(Surrogate):
    """A process for each past data set and one for the new; each weighs as often as it ranks the trials best.

    Unlike `CandidateGaussian` it compares rankings, not densities, so scores of different scale need no model; and it
    never mixes what two past data sets say of one candidate. As in the paper the own process is judged by leaving each
    trial out, and a past one that is worse than it in most samples is dropped. Matern 5/2 with one lengthscale and
    noise for all past data sets, by marginal likelihood.

    Raises:
        UserError: (in meta_fit) candidates without an encoding, which no process is over.
    """

    State = Ensemble
    stochastic = True
    setting: Tensor
    points: Tensor
    solved: Tensor
    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("setting", "points", "solved", "factor"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    @torch.no_grad()
    def meta_fit(self, table: ScoreTable, *, rng: Rng | None = None) -> None:
        """Fit a process to each past data set."""
        past = Past.of(table)
        if not past.encoding.shape[1]:
            raise UserError("RGPE has a process over encodings, and these candidates are names alone; use portfolio.")
        some = (
            torch.randperm(len(past.encoding), generator=(rng or Rng(0)).at("points").generator())[:POINTS]
            .sort()
            .values
        )
        points, scores = past.encoding[some], past.scores[:, some].T
        scores = (scores - scores.mean(0)) / scores.std(0).clamp(min=1e-6)
        settings = [(length, noise) for length in LENGTHS for noise in NOISES]
        best = max(settings, key=lambda s: float(gp.log_marginal(self._kernel(points, points, s[0]), scores, s[1])))
        factor = gp.cholesky(gp.noisy(self._kernel(points, points, best[0]), best[1]))
        self.set_buffer("setting", torch.tensor(best, dtype=torch.float64))
        self.set_buffer("points", points)
        self.set_buffer("solved", torch.cholesky_solve(scores, factor))
        self.set_buffer("factor", factor)

    def _kernel(self, a: Tensor, b: Tensor, length: float) -> Tensor:
        return gp.matern52(a, b, length * math.sqrt(a.shape[1]))

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Ensemble:
        del description
        return self._through(*trials(support), key_of(rng))

    def update(self, state: Ensemble, examples: Examples) -> Ensemble:
        x, y = trials(examples)
        return self._through(torch.cat([state.x, x]), torch.cat([state.y, y]), state.key)

    def _through(self, x: Tensor, y: Tensor, key: Tensor) -> Ensemble:
        length, noise = self.setting.tolist()
        covariance = gp.noisy(self._kernel(x[:, 1:], x[:, 1:], length), noise)
        factor, count = gp.cholesky(covariance), self.solved.shape[1]
        if len(y) < 3:  # a ranking of fewer says nothing
            weight = torch.full((count + 1,), 1 / count, dtype=torch.float64)
            weight[-1] = 0
            return Ensemble(x, y, weight, factor, key)
        return Ensemble(x, y, self._weights(x, y, covariance, Rng(int(key), ("rankings", len(y)))), factor, key)

    def _weights(self, x: Tensor, y: Tensor, covariance: Tensor, rng: Rng) -> Float[Tensor, " d"]:
        """How often each process ranks the trials best, the own one last."""
        # In an order of their own, so that what is sampled does not depend on which was tried first.
        order, generator, count = y.argsort(), rng.generator(), self.solved.shape[1]
        x, y, covariance = x[order], y[order], covariance[order][:, order]
        past, variance = self._past(x)
        draws = torch.randn(SAMPLES, count, len(y), generator=generator, dtype=torch.float64)
        losses = misranked(past.T + variance.sqrt() * draws, y)
        own = misranked_left_out(covariance, standardised(y), y, generator)
        # A process that misranks more in most samples than the own does would only add noise.
        dropped = losses.median(0).values > torch.quantile(own, 0.95)
        every = torch.cat([losses.masked_fill(dropped, math.inf), own.unsqueeze(1)], 1)
        # Of several that are best the own counts, which is exact in the end.
        least = every.amin(1, keepdim=True)
        winner = torch.where(every[:, -1:] == least, count, every.argmin(1, keepdim=True)).flatten()
        return torch.bincount(winner, minlength=count + 1).double() / SAMPLES

    def _past(self, x: Float[Tensor, "q numbers"]) -> tuple[Float[Tensor, "q d"], Float[Tensor, " q"]]:
        """Mean of each past data set's process, and the variance that they share."""
        across = self._kernel(x[:, 1:], self.points, self.setting[0].item())
        variance = 1 - gp.whiten(self.factor, across.T).square().sum(0)
        return across @ self.solved, variance.clamp(min=1e-10)

    def tried(self, state: Ensemble) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Ensemble, x: Float[Tensor, "q numbers"]) -> Mixture:
        x, (length, noise) = gp.widened(x), self.setting.tolist()
        past, variance = self._past(x)
        white = gp.whiten(state.factor, standardised(state.y).unsqueeze(1)).squeeze(1)
        root = gp.whiten(state.factor, self._kernel(state.x[:, 1:], x[:, 1:], length))
        own, spread = white @ root, (1 - root.square().sum(0)).clamp(min=1e-10)
        square = state.weight.square()
        mean = past @ state.weight[:-1] + own * state.weight[-1]
        variance = square[:-1].sum() * variance + square[-1] * spread
        centre, scale = located(state.y)
        one = scale.square() * torch.ones_like(variance)
        return Mixture(
            mean.new_zeros(1),
            (centre + scale * mean).unsqueeze(0),
            (one * variance).unsqueeze(0),
            (one * noise).unsqueeze(0),
        )

    def acquire(
        self, state: Ensemble, x: Float[Tensor, "q numbers"], *, kind: str = "regression"
    ) -> Float[Tensor, " q"]:
        worth = super().acquire(state, x, kind=kind)
        return worth + 1e-12 * at_random(state.key, len(state.y), len(x))


def located(y: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the trials; 0 and 1 where they have none."""
    centre = y.mean() if len(y) else y.new_zeros(())
    scale = y.std() if len(y) > 1 else y.new_ones(())
    return centre, torch.where(scale > 1e-12, scale, 1.0)


def standardised(y: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    centre, scale = located(y)
    return (y - centre) / scale


def misranked(values: Float[Tensor, "*k n"], y: Float[Tensor, " n"]) -> Float[Tensor, "*k"]:
    """How many pairs of trials are in another order than their scores.

    >>> misranked(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), torch.tensor([1.0, 2.0, 3.0])).tolist()
    [0.0, 6.0]
    """
    said, true = values.unsqueeze(-1) < values.unsqueeze(-2), y.unsqueeze(-1) < y.unsqueeze(-2)
    return (said ^ true).sum((-2, -1)).to(y.dtype)


def misranked_left_out(
    covariance: Float[Tensor, "n n"], y: Float[Tensor, " n"], scores: Float[Tensor, " n"], generator: torch.Generator
) -> Float[Tensor, " samples"]:
    """The same for samples of each trial from the process through all others, against their scores."""
    inverse = torch.linalg.inv(covariance)
    variance = 1 / inverse.diagonal()
    mean = y - (inverse @ y) * variance
    sampled = mean + variance.sqrt() * torch.randn(SAMPLES, len(y), generator=generator, dtype=y.dtype)
    said, true = sampled.unsqueeze(-1) < y, scores.unsqueeze(-1) < scores
    return (said ^ true).sum((-2, -1)).to(y.dtype)
