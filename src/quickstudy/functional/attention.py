"""Attention over the examples of a support set."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def members(y: Int[Tensor, " n"], ways: int, real: Bool[Tensor, " n"]) -> Bool[Tensor, "n ways"]:
    """Whether an example is of a class; padding is of none."""
    return (y.unsqueeze(-1) == torch.arange(ways, device=y.device)) & real.unsqueeze(-1)


def best_of_class(scores: Float[Tensor, "q n"], member: Bool[Tensor, "n ways"]) -> Float[Tensor, "q ways"]:
    """The highest score among the examples of each class; -inf for a class without examples.

    >>> member = torch.tensor([[True, False], [True, False]])
    >>> best_of_class(torch.tensor([[1.0, 3.0]]), member)
    tensor([[3., -inf]])
    """
    return torch.where(member, scores.unsqueeze(-1), -torch.inf).amax(1)


def class_attention(scores: Float[Tensor, "q n"], member: Bool[Tensor, "n ways"]) -> Float[Tensor, "q ways"]:
    """Log of the attention that the examples of each class get together, under a softmax over all examples.

    As a log-sum-exp, so that a share too small for its type is still told apart; -inf for a class without examples.

    >>> member = torch.tensor([[True, False], [False, True], [False, True]])
    >>> class_attention(torch.zeros(1, 3), member).exp()
    tensor([[0.3333, 0.6667]])
    """
    return torch.where(member, scores.unsqueeze(-1), -torch.inf).logsumexp(1).log_softmax(-1)


def read(keys: Float[Tensor, "q d"], memory: Float[Tensor, "n d"], real: Bool[Tensor, " n"]) -> Float[Tensor, "q d"]:
    """What softmax attention by inner product reads from a memory; padding is not read.

    >>> read(torch.zeros(1, 1), torch.tensor([[1.0], [3.0]]), torch.tensor([True, True]))
    tensor([[2.]])
    """
    return torch.where(real, keys @ memory.mT, -torch.inf).softmax(-1) @ memory
