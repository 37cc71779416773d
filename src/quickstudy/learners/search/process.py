"""Searches that believe in Gaussian processes: trials conditioned on, whatever the kernel."""

from __future__ import annotations

import abc
import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...functional.solvers import gp
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from .mixture import Mixture, heaviest
from .surrogate import Surrogate, key_of, trials
from .unordered import at_random

SCALES = 7


@pytree
class Process:
    """Trials, and a Gaussian process through them for each of H kernels.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
        centre: () mean of the scores before the trials.
        scale: (S,) deviations that they may have, equally likely.
        factors: (H, n, n) Cholesky factors of the trials, in units of the scale.
        key: () number of the stream that the first trials are drawn from.
    """

    x: Tensor
    y: Tensor
    centre: Tensor
    scale: Tensor
    factors: Tensor
    key: Tensor


class ProcessSearch(Surrogate):
    """Kernels and scales are averaged over, weighed by marginal likelihood (Snoek et al. 2012, arXiv:1206.2944).

    Averaging in place of the best fit is what makes its uncertainty honest after few trials. Location and scale of the
    scores are those of the trials, unless `expect` has said what they may be; only then is its evidence a density,
    which another's can be compared with.

    Attributes:
        starts: how many first trials are drawn at random.
    """

    State = Process
    stochastic = True
    starts: int
    centre: Tensor
    location: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros((), dtype=torch.float64))
        self.register_buffer("location", torch.zeros((), dtype=torch.float64))
        self.register_buffer("scale", torch.empty(0, dtype=torch.float64))

    @abc.abstractmethod
    def covariance(self, a: Float[Tensor, "n numbers"], b: Float[Tensor, "m numbers"]) -> Float[Tensor, "k n m"]:
        """Of the function at two lists of candidates under each of k kernels, about 1 for a candidate with itself."""

    @property
    @abc.abstractmethod
    def noises(self) -> Float[Tensor, " v"]:
        """Variances of a score around the function that are thought possible with each kernel."""

    def expect(self, centre: Float[Tensor, " d"], scale: Float[Tensor, " d"]) -> None:
        """Take location and scale of the scores from those of past data sets."""
        self.set_buffer("centre", centre.mean())
        self.set_buffer("location", centre.var(correction=0) / scale.square().median())
        levels = torch.linspace(0.05, 0.95, SCALES, dtype=scale.dtype)
        self.set_buffer("scale", torch.quantile(scale.clamp(min=1e-9), levels))

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Process:
        del description
        return self._through(*trials(support), key_of(rng))

    def update(self, state: Process, examples: Examples) -> Process:
        x, y = trials(examples)
        return self._through(torch.cat([state.x, x]), torch.cat([state.y, y]), state.key)

    def _through(self, x: Tensor, y: Tensor, key: Tensor) -> Process:
        centre, scale = self.centre, self.scale
        if not len(scale):
            centre = y.mean() if len(y) else y.new_zeros(())
            scale = (y.std() if len(y) > 1 else y.new_ones(())).clamp(min=1e-6).unsqueeze(0)
        noise = self.noises.unsqueeze(1).expand(-1, len(x))
        covariance = (self.location + self.covariance(x, x)).unsqueeze(1)
        return Process(x, y, centre, scale, gp.cholesky(gp.noisy(covariance, noise)).flatten(0, 1), key)

    def tried(self, state: Process) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Process, x: Float[Tensor, "q numbers"]) -> Mixture:
        x, n = gp.widened(x), len(state.y)
        standard = (state.y - state.centre) / state.scale.unsqueeze(1)  # (S, n)
        white = gp.whiten(state.factors, standard.T)  # (H, n, S)
        spread = state.factors.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
        log_weight = -0.5 * white.square().sum(1) - spread - n * state.scale.log()
        log_weight = (log_weight - math.log(log_weight.numel()) - 0.5 * n * math.log(2 * math.pi)).flatten()
        kept = heaviest(log_weight)
        # Far fewer kernels than pairs of kernel and scale are looked at.
        used, place = (kept // len(state.scale)).unique(return_inverse=True)
        s, noises = kept % len(state.scale), self.noises
        root = gp.whiten(state.factors[used], self.location + self.covariance(state.x, x)[used // len(noises)])
        mean = (white[used].transpose(1, 2) @ root)[place, s]
        variance = (1 + self.location - root.square().sum(1)).clamp(min=1e-10)[place]
        noise = noises[used % len(noises)][place].unsqueeze(1).expand_as(mean)
        scale = state.scale[s].unsqueeze(1)
        return Mixture(log_weight[kept], state.centre + scale * mean, scale.square() * variance, scale.square() * noise)

    def acquire(
        self, state: Process, x: Float[Tensor, "q numbers"], *, kind: str = "regression"
    ) -> Float[Tensor, " q"]:
        if len(state.y) < max(self.starts, 1):
            return at_random(state.key, len(state.y), len(x))
        return super().acquire(state, x, kind=kind)
