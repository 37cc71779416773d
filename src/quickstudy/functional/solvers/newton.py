"""A few Newton steps of logistic regression, one class against all others, with exact derivatives."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def one_against_all(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "n k"],
    penalty: float | Tensor,
    mask: Bool[Tensor, " n"] | None = None,
    *,
    steps: int,
) -> tuple[Float[Tensor, "d k"], Float[Tensor, " k"]]:
    """Weights and intercepts of k two-class problems, each after `steps` Newton steps from zero.

    Each lowers a sum of binary cross-entropies + penalty / 2 |w|^2. Unlike `logistic`, which is solved to convergence
    and has no use for a gradient, this is meant to be differentiated through: few steps, each one dense linear system
    a class, of n x n numbers where there are fewer examples than features and d x d elsewhere. The intercept is one
    more weight, penalised like the others, so that even a single class has a solution. Steps are taken in full; a
    penalty that is tiny beside |x|^2 may make them overshoot.

    Args:
        x: inputs.
        y: 1 for the examples of a class, 0 for all others.
        penalty: above zero.
        mask: False for padding.
        steps: of Newton's method.

    Source: Bertinetto et al. 2019 (arXiv:1805.08136); in statistics, iteratively reweighted least squares.

    >>> weights, intercept = one_against_all(torch.tensor([[-1.0], [1.0]]), torch.eye(2), 1.0, steps=5)
    >>> weights.shape, bool(weights[0, 0] < 0 < weights[0, 1])
    (torch.Size([1, 2]), True)
    """
    real = x.new_ones(x.shape[0], 1) if mask is None else mask.to(x.dtype).unsqueeze(-1)
    z = torch.cat([x, torch.ones_like(x[:, :1])], 1) * real
    fewer = z.shape[0] < z.shape[1]
    # The optimum lies in the span of the examples, w = z^T c: where they are few the unknowns are c, and z w = z z^T c.
    # No step divides by the curvature p (1 - p), as the paper writes it, for it vanishes where a class is sure.
    basis = z @ z.transpose(-1, -2) if fewer else z
    ridge = penalty * torch.eye(basis.shape[1], dtype=x.dtype, device=x.device)
    target = y.transpose(-1, -2).unsqueeze(-1)  # (k, n, 1): the classes are so many problems of one column
    found = x.new_zeros(y.shape[1], basis.shape[1], 1)
    for _ in range(steps):
        logit = basis @ found
        p = logit.sigmoid()
        curvature = p * (1 - p) * real
        right = curvature * logit + (target - p) * real
        bend = curvature * basis
        if not fewer:
            bend, right = z.transpose(-1, -2) @ bend, z.transpose(-1, -2) @ right
        found = torch.linalg.solve(ridge + bend, right)
    weights = found.squeeze(-1).transpose(-1, -2)
    weights = z.transpose(-1, -2) @ weights if fewer else weights
    return weights[:-1].contiguous(), weights[-1].contiguous()
