"""Where the tasks of a batch lie: side by side as channels, channels last."""

from __future__ import annotations

import torch
from torch import Tensor


def fold(x: Tensor, dim: int | None, tasks: int, into: int = 1) -> Tensor:
    """`x` with its dimension `dim` of tasks made part of dimension `into`; without one, every task gets the same."""
    if dim is None:
        return x.unsqueeze(into).expand(*x.shape[:into], tasks, *x.shape[into:]).flatten(into, into + 1)
    return x.movedim(dim, into).flatten(into, into + 1)


def unfold(x: Tensor, tasks: int, into: int = 1) -> Tensor:
    """What `fold` made, with a dimension of tasks at `into` again."""
    return x.unflatten(into, (tasks, -1))


def images(x: Tensor, dim: int | None, tasks: int) -> Tensor:
    """Folded into channels, which lie side by side in memory."""
    folded = fold(x, dim, tasks)
    # Inside a second vmap torch cannot lay memory out; the numbers are the same.
    if folded.dim() != 4 or torch._C._functorch.is_batchedtensor(folded):
        return folded
    return folded.contiguous(memory_format=torch.channels_last)
