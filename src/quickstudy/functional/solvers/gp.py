"""Gaussian processes in closed form: kernels, the posterior and the marginal likelihood, in float64.

Everything takes any leading dimensions, so that a batch of tasks is one call, and is pure, differentiable and fit for
`vmap`. A variance of noise may differ from point to point. Numbering of equations as in Rasmussen and Williams 2006
(gaussianprocess.org/gpml).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

Scalar = float | Tensor  # a number, or tensors (..., 1, 1) of them, one for each of a batch of covariances
JITTERS = (1e-10, 1e-7, 1e-4)  # shares of the mean of the diagonal, tried in turn


def widened(x: Float[Tensor, ...]) -> Float[Tensor, ...]:
    """The same numbers in float64, where covariances of points close together still have a Cholesky factor.

    In float32 where the device knows no more (MPS).
    """
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)


def rbf(x: Float[Tensor, "... n d"], z: Float[Tensor, "... m d"], lengthscale: Scalar) -> Float[Tensor, "... n m"]:
    """exp(-|x - z|^2 / 2 lengthscale^2): smooth functions (4.9).

    >>> rbf(torch.zeros(1, 2), torch.ones(1, 2), 1.0)
    tensor([[0.3679]], dtype=torch.float64)
    """
    return torch.exp(-0.5 * _squares(x, z) / _squared(lengthscale))


def matern52(x: Float[Tensor, "... n d"], z: Float[Tensor, "... m d"], lengthscale: Scalar) -> Float[Tensor, "... n m"]:
    """(1 + r + r^2 / 3) exp(-r), r = sqrt(5) |x - z| / lengthscale: functions with two derivatives (4.17).

    >>> matern52(torch.zeros(1, 1), torch.ones(1, 1), 1.0)
    tensor([[0.5240]], dtype=torch.float64)
    """
    # A root has no derivative at zero; 1e-30 is zero for a covariance, and its derivative is.
    ratio = torch.sqrt(5 * (_squares(x, z) / _squared(lengthscale)).clamp(min=1e-30))
    return (1 + ratio + ratio.square() / 3) * torch.exp(-ratio)


def tanimoto(x: Float[Tensor, "... n d"], z: Float[Tensor, "... m d"]) -> Float[Tensor, "... n m"]:
    """x z / (|x|^2 + |z|^2 - x z): the share of common bits in two fingerprints of molecules; 0 for two empty ones.

    Numbers are to be 0 or above, or it is no covariance.

    Source: Ralaivola et al. 2005 (doi:10.1016/j.neunet.2005.07.009).

    >>> tanimoto(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]))
    tensor([[0.3333, 1.0000]], dtype=torch.float64)
    """
    x, z = widened(x), widened(z)
    common = x @ z.transpose(-1, -2)
    either = x.square().sum(-1).unsqueeze(-1) + z.square().sum(-1).unsqueeze(-2) - common
    return common / either.clamp(min=1e-30)


def periodic(
    x: Float[Tensor, "... n d"], z: Float[Tensor, "... m d"], lengthscale: Scalar, period: Scalar
) -> Float[Tensor, "... n m"]:
    """exp(-2 sum_i sin^2(pi (x_i - z_i) / period) / lengthscale^2): functions that repeat themselves (4.31).

    >>> periodic(torch.zeros(1, 1), torch.tensor([[1.0], [1.5]]), 1.0, 1.0)
    tensor([[1.0000, 0.1353]], dtype=torch.float64)
    """
    apart = widened(x).unsqueeze(-2) - widened(z).unsqueeze(-3)
    angle = math.pi * apart / (period.unsqueeze(-1) if isinstance(period, Tensor) and period.dim() else period)
    return torch.exp(-2 * angle.sin().square().sum(-1) / _squared(lengthscale))


def linear(x: Float[Tensor, "... n d"], z: Float[Tensor, "... m d"]) -> Float[Tensor, "... n m"]:
    """x . z: straight lines through the origin.

    >>> linear(torch.ones(1, 2), torch.ones(1, 2))
    tensor([[2.]], dtype=torch.float64)
    """
    return widened(x) @ widened(z).transpose(-1, -2)


def spectral(
    x: Float[Tensor, "... n d"],
    z: Float[Tensor, "... m d"],
    weights: Float[Tensor, " k"],
    means: Float[Tensor, "k d"],
    deviations: Float[Tensor, "k d"],
) -> Float[Tensor, "... n m"]:
    """The kernel whose spectral density is a mixture of k Gaussians: functions that repeat themselves for a while.

    sum_q weights_q exp(-2 pi^2 sum_i (t_i deviations_qi)^2) cos(2 pi t . means_q) for t = x - z. In several dimensions
    this is the kernel of the mixture itself; the paper's product of cosines is that of the mixture mirrored along every
    axis, and needs memory for each of them.

    Args:
        x: points.
        z: points.
        weights: above zero; their sum is the variance of the functions.
        means: frequencies, in cycles a unit of x.
        deviations: of the frequencies.

    Source: Wilson and Adams 2013 (arXiv:1302.4245), equation 12.

    >>> one = torch.ones(1, 1)
    >>> spectral(0 * one, torch.tensor([[0.0], [0.5], [1.0]]), one[0], one, 0 * one)
    tensor([[ 1., -1.,  1.]], dtype=torch.float64)
    """
    x, z, weights, means, deviations = (widened(t) for t in (x, z, weights, means, deviations))
    phase = 2 * math.pi * ((x @ means.T).unsqueeze(-2) - (z @ means.T).unsqueeze(-3))  # (..., n, m, k)
    scale = 2 * math.pi * deviations.unsqueeze(-2)  # (k, 1, d)
    decay = torch.exp(-0.5 * _squares(x.unsqueeze(-3) * scale, z.unsqueeze(-3) * scale))  # (..., k, n, m)
    return (phase.cos() * decay.movedim(-3, -1)) @ weights


def cholesky(k: Float[Tensor, "... n n"]) -> Float[Tensor, "... n n"]:
    """The lower Cholesky factor of a covariance; where rounding has made it indefinite, of the nearest with a jitter.

    The jitter is the least of `JITTERS` that helps, and none where none is needed. It is found without looking at a
    value, so this maps over tasks; and it is a constant for the gradient.
    """
    eye = torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)
    fixed = k.detach()
    size = fixed.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    jitter = torch.zeros_like(size)
    for share in JITTERS:
        failed = torch.linalg.cholesky_ex(fixed + jitter * eye).info > 0
        jitter = torch.where(failed[..., None, None], share * size, jitter)
    return torch.linalg.cholesky_ex(k + jitter * eye).L


def noisy(k: Float[Tensor, "... n n"], noise: float | Tensor) -> Float[Tensor, "... n n"]:
    """The covariance of targets from that of the function: a variance of noise, () or (..., n), on its diagonal."""
    k = widened(k)
    noise = torch.as_tensor(noise, dtype=k.dtype, device=k.device)
    return k + noise.unsqueeze(-1) * torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)


def whiten(factor: Float[Tensor, "... n n"], y: Float[Tensor, "... n m"]) -> Float[Tensor, "... n m"]:
    """factor^-1 y: what is left of y when the covariance factor factor^T is taken out of it."""
    return torch.linalg.solve_triangular(factor, y, upper=False)


def posterior(
    k_ss: Float[Tensor, "... n n"],
    k_sq: Float[Tensor, "... n q"],
    k_qq_diag: Float[Tensor, "... q"],
    y: Float[Tensor, "... n k"],
    noise: float | Tensor,
) -> tuple[Float[Tensor, "... q k"], Float[Tensor, "... q"]]:
    """Mean and variance of a function at q places, given its noisy values at n (2.23 to 2.26).

    The variance is that of the function; that of a new target is `noise` more.

    Args:
        k_ss: covariance of the places that were seen.
        k_sq: covariance of what was seen and what is asked.
        k_qq_diag: variance of what is asked, before anything was seen.
        y: k functions that share their covariance, seen at the same places.
        noise: variance of the targets around the function, () or (..., n).

    >>> one = torch.ones(1, 1)
    >>> [round(t.item(), 4) for t in posterior(one, one, one[0], 2 * one, 1.0)]
    [1.0, 0.5]
    """
    factor = cholesky(noisy(k_ss, noise))
    return conditional(factor, whiten(factor, widened(y)), k_sq, k_qq_diag)


def conditional(
    factor: Float[Tensor, "... n n"],
    whitened: Float[Tensor, "... n k"],
    k_sq: Float[Tensor, "... n q"],
    k_qq_diag: Float[Tensor, "... q"],
) -> tuple[Float[Tensor, "... q k"], Float[Tensor, "... q"]]:
    """`posterior` from what can be kept: the Cholesky factor of the targets seen, and these targets whitened by it."""
    across = whiten(factor, widened(k_sq))
    variance = widened(k_qq_diag) - across.square().sum(-2)
    return across.transpose(-1, -2) @ whitened, variance.clamp(min=0)


def log_marginal(k: Float[Tensor, "... n n"], y: Float[Tensor, "... n k"], noise: float | Tensor) -> Float[Tensor, ...]:
    """The joint log density of n targets in nats (2.30), summed over k functions that share their covariance.

    >>> round(log_marginal(torch.zeros(1, 1), torch.zeros(1, 1), 1.0).item(), 4)
    -0.9189
    """
    factor = cholesky(noisy(k, noise))
    squares = whiten(factor, widened(y)).square().sum((-2, -1))
    spread = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    n, functions = y.shape[-2:]
    return -0.5 * squares - functions * (spread + 0.5 * n * math.log(2 * math.pi))


def extended(
    factor: Float[Tensor, "... n n"], k_sm: Float[Tensor, "... n m"], k_mm: Float[Tensor, "... m m"]
) -> Float[Tensor, "... nm nm"]:
    """The Cholesky factor of a covariance that grew by m points, from that of the n before, without repeating it.

    Args:
        factor: of the covariance of the n points, noise included.
        k_sm: covariance between the n points and the m new ones.
        k_mm: covariance of the new ones, noise included.
    """
    across = whiten(factor, k_sm).transpose(-1, -2)
    corner = cholesky(k_mm - across @ across.transpose(-1, -2))
    upper = torch.cat([factor, torch.zeros_like(k_sm)], -1)
    return torch.cat([upper, torch.cat([across, corner], -1)], -2)


def _squares(x: Tensor, z: Tensor) -> Tensor:
    """|x - z|^2 in float64, never below zero."""
    x, z = widened(x), widened(z)
    norms = x.square().sum(-1).unsqueeze(-1), z.square().sum(-1).unsqueeze(-2)
    return (norms[0] + norms[1] - 2 * x @ z.transpose(-1, -2)).clamp(min=0)


def _squared(scale: Scalar) -> Scalar:
    return widened(scale).square() if isinstance(scale, Tensor) else scale**2
