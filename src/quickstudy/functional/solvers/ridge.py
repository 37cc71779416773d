"""Ridge regression in closed form, in whichever space is smaller: that of the features or that of the examples."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def ridge(
    x: Float[Tensor, "n d"], y: Float[Tensor, "n k"], penalty: float | Tensor, mask: Bool[Tensor, " n"] | None = None
) -> tuple[Float[Tensor, "d k"], Float[Tensor, " k"]]:
    """Weights and intercept with the least |y - x W - b|^2 + penalty |W|^2; the intercept is free.

    Unlike `logistic` it needs no iterations. The sum is over examples, so many of them outweigh the penalty. With fewer
    examples than features an n x n system is solved, so that long inputs cost next to nothing. Pure, differentiable and
    fit for `vmap`.

    Args:
        x: inputs.
        y: targets.
        penalty: above zero.
        mask: False for padding.

    Source: Hoerl and Kennard 1970 (doi:10.1080/00401706.1970.10488634); in the span of the examples as in Bertinetto et
    al. 2019 (arXiv:1805.08136).

    >>> weights, intercept = ridge(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]]), 1e-6)
    >>> round(weights.item(), 3), round(intercept.item(), 3)
    (2.0, 1.0)
    """
    real = x.new_ones(x.shape[0], 1) if mask is None else mask.to(x.dtype).unsqueeze(-1)
    count = real.sum(0).clamp(min=1)
    x_mean, y_mean = (x * real).sum(0) / count, (y * real).sum(0) / count
    # With both sides centred the best intercept is known, and the penalty falls on the slopes alone.
    a, b = (x - x_mean) * real, (y - y_mean) * real
    n, d = x.shape
    eye = torch.eye(min(n, d), dtype=x.dtype, device=x.device)
    if n < d:
        weights = a.transpose(-1, -2) @ torch.linalg.solve(a @ a.transpose(-1, -2) + penalty * eye, b)
    else:
        weights = torch.linalg.solve(a.transpose(-1, -2) @ a + penalty * eye, a.transpose(-1, -2) @ b)
    # A solver leaves columns side by side; saved and loaded they are not, and products would differ in their last bits.
    weights = weights.contiguous()
    return weights, y_mean - x_mean @ weights
