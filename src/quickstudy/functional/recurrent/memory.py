"""An external memory, read by content and written where it is least used (Santoro et al. 2016, arXiv:1605.06065).

All functions are pure, take one memory, and can be mapped over many.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

FAINT = 1e-6  # added to squared lengths: a slot shorter than 1e-3 counts as empty, and has a finite derivative


def least_used(usage: Float[Tensor, " slots"], count: int) -> Float[Tensor, "count slots"]:
    """One-hot rows: the least used slot, the next, and so on.

    They are found by rank, so no gradient flows to the usage.

    >>> least_used(torch.tensor([0.3, 0.1, 0.2]), 2)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    places = usage.topk(count, largest=False).indices
    return (places.unsqueeze(-1) == torch.arange(len(usage), device=usage.device)).to(usage.dtype)


def write(
    memory: Float[Tensor, "slots word"],
    words: Float[Tensor, "heads word"],
    where: Float[Tensor, "heads slots"],
    emptied: Float[Tensor, "heads slots"],
) -> Float[Tensor, "slots word"]:
    """The memory with the slots that are one in `emptied` set to zero, and then each head's word added as `where` says.

    >>> write(torch.ones(2, 1), torch.tensor([[5.0]]), torch.tensor([[0.2, 1.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([[1.],
            [6.]])
    """
    return torch.addmm(memory * (1 - emptied.sum(0)).unsqueeze(-1), where.mT, words)


def attend(
    memory: Float[Tensor, "slots word"], keys: Float[Tensor, "heads word"], strength: Float[Tensor, " heads"]
) -> Float[Tensor, "heads slots"]:
    """Where each head reads: the softmax over slots of `strength` times the cosine of key and slot.

    >>> memory = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> attend(memory, torch.tensor([[0.0, 1.0]]), torch.tensor([100.0])).round(decimals=3)
    tensor([[0., 1.]])
    """
    lengths = (memory.square().sum(-1) + FAINT).sqrt()
    directions = keys * (strength * (keys.square().sum(-1) + FAINT).rsqrt()).unsqueeze(-1)
    return (directions @ memory.mT / lengths).softmax(-1)
