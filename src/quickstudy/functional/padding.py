"""Batches of sets of several sizes, padded to one length: work on what is real."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor


def on_real(
    net: Callable[[Tensor], Tensor], x: Float[Tensor, "*sets n d"], mask: Bool[Tensor, "*sets n"] | None = None
) -> Float[Tensor, "*sets n e"]:
    """What a net makes of each real row, and zero where there is padding, for which nothing is computed.

    Args:
        net: (rows, d) -> (rows, e).
        x: one set, or with a mask any number of them.
        mask: True for real rows; None for one set without padding, as it is where torch maps over sets.

    >>> import torch
    >>> on_real(lambda rows: rows + 1, torch.ones(1, 3, 1), torch.tensor([[True, True, False]])).flatten()
    tensor([2., 2., 0.])
    """
    if mask is None:
        return net(x)
    rows = net(x[mask])
    return rows.new_zeros(*mask.shape, rows.shape[-1]).index_put((mask,), rows)


def closed_up(mask: Bool[Tensor, "sets n"]) -> tuple[Tensor, Tensor]:
    """How to move the real rows of every set to its beginning: (sets, longest) places of rows, and which are real.

    >>> import torch
    >>> closed_up(torch.tensor([[False, True, False, True], [True, False, False, False]]))
    (tensor([[1, 3],
            [0, 1]]), tensor([[ True,  True],
            [ True, False]]))
    """
    order = (~mask).byte().argsort(dim=1, stable=True)[:, : int(mask.sum(1).max())]
    return order, mask.gather(1, order)
