"""Ridge regression by a kernel, and what it would have answered for each example without that example."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def kernel_ridge(
    kernel: Float[Tensor, "*many n n"], y: Float[Tensor, "n k"], penalty: float | Float[Tensor, "*many 1 1"]
) -> tuple[Float[Tensor, "*many n k"], Float[Tensor, "*many n k"]]:
    """Weights a, so that kernel(q, x) @ a answers for q; and the answers for x itself, each left out in turn.

    Unlike `ridge` there is no intercept: centre the targets first. Leaving out costs nothing more than the inverse that
    is at hand. Pure, differentiable and fit for `vmap`.

    Args:
        kernel: of the examples with each other, positive semidefinite; or several of them, each for itself.
        y: targets.
        penalty: above zero; of each kernel.

    Source: Rasmussen and Williams 2006 (gaussianprocess.org/gpml), equation 5.12.

    >>> weights, left_out = kernel_ridge(torch.ones(3, 3), torch.tensor([[0.0], [3.0], [6.0]]), 1e-3)
    >>> left_out.squeeze().round(decimals=1)
    tensor([4.5000, 3.0000, 1.5000])
    """
    inverse = torch.linalg.inv(kernel + penalty * torch.eye(y.shape[0], dtype=kernel.dtype, device=kernel.device))
    weights = inverse @ y
    return weights, y - weights / inverse.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
