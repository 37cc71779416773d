"""Sums and counts of embeddings by class."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def class_sums(
    z: Float[Tensor, "n d"], y: Int[Tensor, " n"], ways: int, mask: Bool[Tensor, " n"] | None = None
) -> tuple[Float[Tensor, "ways d"], Float[Tensor, " ways"]]:
    """The sum of the embeddings of each class and how many there are; masked rows do not count.

    >>> import torch
    >>> class_sums(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([0, 1, 1]), 2)
    (tensor([[1.],
            [6.]]), tensor([1., 2.]))
    """
    # A product with one-hot rows, not index_add: it batches under vmap and its order of summation is fixed.
    member = F.one_hot(y, ways).to(z.dtype)
    if mask is not None:
        member = member * mask.to(z.dtype).unsqueeze(-1)
    return member.transpose(-1, -2) @ z, member.sum(-2)
