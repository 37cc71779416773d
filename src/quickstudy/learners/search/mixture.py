"""What a search believes of each candidate: a mixture of Gaussians, weighed by the evidence of the trials."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...pytree import pytree

LEAST = 1e-6  # of the largest weight; below it a component counts for nothing


@pytree
class Mixture:
    """K beliefs about q candidates.

    Args:
        log_weight: (K,) log of prior weight times density of the trials; not normalised, so that two mixtures can be
            compared and joined.
        mean: (K, q) of a new score.
        variance: (K, q) of the function; that of a new score is `noise` more.
        noise: (K, q) variance of a score around the function.
    """

    log_weight: Tensor
    mean: Tensor
    variance: Tensor
    noise: Tensor

    @property
    def evidence(self) -> Float[Tensor, ""]:
        """The log density of the trials so far under the whole mixture, its prior weights adding up to 1."""
        return self.log_weight.logsumexp(0)

    def moments(self) -> tuple[Float[Tensor, " q"], Float[Tensor, " q"]]:
        """Mean and variance of a new score of each candidate."""
        weight = self.log_weight.softmax(0)
        mean = weight @ self.mean
        return mean, weight @ (self.variance + self.noise + (self.mean - mean).square())

    def improvement(self, best: Float[Tensor, ""]) -> Float[Tensor, " q"]:
        """How far above `best` each candidate is expected to be, what is below counting as nothing.

        Expected improvement (Jones et al. 1998) of a mixture is the mean of that of its components. With as many
        components as past data sets, and these as narrow as can be, its choices are those of a greedy portfolio.
        """
        sd = self.variance.clamp(min=1e-300).sqrt()
        gain = self.mean - best
        z = gain / sd
        density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
        return self.log_weight.softmax(0) @ (gain * torch.special.ndtr(z) + sd * density)


def heaviest(log_weight: Float[Tensor, " k"]) -> Tensor:
    """The numbers of the components that count."""
    return (log_weight >= log_weight.max() + math.log(LEAST)).nonzero().flatten()


def joined(first: Mixture, second: Mixture) -> Mixture:
    """The components of both, side by side."""
    names = ("log_weight", "mean", "variance", "noise")
    return Mixture(*(torch.cat([getattr(first, name), getattr(second, name)]) for name in names))
