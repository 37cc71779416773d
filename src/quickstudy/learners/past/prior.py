"""What past data sets make one expect of a new one: a mixture of Gaussians over the scores of all candidates."""

from __future__ import annotations

import dataclasses
import math

import torch
from jaxtyping import Float
from torch import Tensor

from ...functional.solvers import gp
from .scores import Past

SCALES = 5
SPREADS = (1.0, 2.0, 4.0)  # how many times further than usual a new data set may be from what is expected of it


@dataclasses.dataclass(frozen=True)
class Setting:
    """How far the past is believed; all are chosen by the density of held-out data sets.

    Args:
        likeness: 0 for a new data set that scatters around the mean of the past; near 1 for one that is like one of
            them.
        shrinkage: share of the covariance that is not taken from the past, but from the kernel.
        smoothness: share of the kernel that candidates with like encodings have in common.
        lengthscale: of the kernel, in diagonals of the space.
        noise: variance of a score around the truth, as a share of that between data sets.
        evenness: share of the kernel's variance that is the same for all candidates.
        bandwidth: how alike meta-features have to be, in deviations; infinite where they do not count.
    """

    likeness: float = 0.5
    shrinkage: float = 0.1
    smoothness: float = 0.5
    lengthscale: float = 0.4
    noise: float = 0.01
    evenness: float = 0.5
    bandwidth: float = math.inf


@dataclasses.dataclass(frozen=True)
class Prior:
    """D Gaussians over the standardised scores of C candidates, which share their covariance.

    It is spread^2 (root' root + amplitude kernel amplitude') + location: past covariance, kernel over encodings, and a
    constant for where the data set's best score is. The spread is one of `SPREADS`, equally likely: few data sets are
    like no other, and a Gaussian that allows for them would expect too little of all others.

    Args:
        centre: (D, C) means.
        root: (D, C).
        amplitude: (C,) deviation of the kernel's part.
        noise: () variance of a score around the truth.
        location: () variance of the best score, in squares of the width.
        best: () mean of the best score, raw.
        log_width: (S,) logs of the widths that a data set may have, equally likely.
    """

    centre: Tensor
    root: Tensor
    amplitude: Tensor
    noise: Tensor
    location: Tensor
    best: Tensor
    log_width: Tensor

    @classmethod
    def of(cls, past: Past, setting: Setting, cells: Tensor | None = None) -> Prior:
        """From past data sets, for all candidates or some."""
        scores = past.scores
        mean = scores.mean(0)
        apart, n = scores - mean, max(len(past) - 1, 1)
        own = apart.square().sum(0) / n
        typical = own.mean().clamp(min=1e-8)
        if cells is not None:
            mean, apart, own = mean[cells], apart[:, cells], own[cells]
        rest = 1 - setting.likeness**2
        amplitude = (setting.evenness * typical + (1 - setting.evenness) * own) * rest * setting.shrinkage
        width = past.width.clamp(min=float(0.05 * past.width.median()))
        levels = (torch.arange(SCALES, dtype=torch.float64) + 0.5) / SCALES
        return cls(
            mean + setting.likeness * apart,
            apart * math.sqrt(rest * (1 - setting.shrinkage) / n),
            amplitude.clamp(min=1e-10).sqrt(),
            setting.noise * typical,
            past.best.var(correction=0) / width.square().median() + 1e-6,
            past.best.mean(),
            torch.quantile(width.log(), levels),
        )


def kernel(z: Float[Tensor, "n e"], other: Float[Tensor, "m e"], setting: Setting) -> Float[Tensor, "n m"]:
    """The part of the kernel that candidates share by their encodings."""
    length = setting.lengthscale * math.sqrt(z.shape[1])
    return setting.smoothness * gp.matern52(z, other, length)


def likelihood(
    white: Float[Tensor, "*#b n"], centres: Float[Tensor, "*#b n d"], prior: Prior, factor: Float[Tensor, "*#b n n"]
) -> Float[Tensor, "... d s"]:
    """Log density of n raw scores under each centre and width.

    Args:
        white: scores less `prior.best`, whitened by the factor.
        centres: of the same candidates, whitened.
        prior: for the widths.
        factor: Cholesky factor of their covariance, in units of the width.
    """
    n, width = white.shape[-1], prior.log_width.exp()
    cross = (white.unsqueeze(-2) @ centres).squeeze(-2)
    square = white.square().sum(-1)[..., None, None] / width.square()
    square = square - 2 * cross.unsqueeze(-1) / width + centres.square().sum(-2).unsqueeze(-1)
    spread = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)[..., None, None]
    return -0.5 * square - spread - n * (prior.log_width + 0.5 * math.log(2 * math.pi))


def nearness(features: Tensor, new: Float[Tensor, "b m"], bandwidth: float) -> Float[Tensor, "b d"]:
    """Log prior weight of each past data set for a new one, by standardised meta-features; NaN counts as average."""
    if math.isinf(bandwidth) or not features.shape[1]:
        return features.new_full((len(new), len(features)), -math.log(len(features)))
    distance = (new.unsqueeze(1) - features).nan_to_num().square().mean(2)
    return (-0.5 * distance / bandwidth**2).log_softmax(1)


def standard(features: Tensor | None, of: int) -> tuple[Float[Tensor, "d m"], Float[Tensor, "2 m"]]:
    """Meta-features with mean 0 and deviation 1, and mean and deviation; those that never differ become 0."""
    if features is None:
        return torch.zeros(of, 0, dtype=torch.float64), torch.zeros(2, 0, dtype=torch.float64)
    known = torch.isfinite(features)
    count = known.sum(0).clamp(min=1)
    mean = torch.where(known, features, 0).sum(0) / count
    deviation = (torch.where(known, features - mean, 0).square().sum(0) / count).sqrt()
    scale = torch.stack([mean, torch.where(deviation > 0, deviation, torch.inf)])
    return scaled(features, scale), scale


def scaled(features: Float[Tensor, "b m"], scale: Float[Tensor, "2 m"]) -> Float[Tensor, "b m"]:
    """Meta-features in deviations from the mean of the past, at most 3."""
    values = torch.where(torch.isfinite(features), features, scale[0])
    return ((values - scale[0]) / scale[1]).clamp(-3, 3)
