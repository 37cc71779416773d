"""Attention of one set to another (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..errors import UserError

Memory = tuple[Float[Tensor, "*sets n d"], Float[Tensor, "*sets n d"]]  # keys and values


def attend(
    queries: Float[Tensor, "*sets q d"],
    keys: Float[Tensor, "*sets n d"],
    values: Float[Tensor, "*sets n d"],
    *,
    heads: int,
    mask: Bool[Tensor, "*sets n"] | None = None,
) -> Float[Tensor, "*sets q d"]:
    """What each query reads: in every head a mean of the values, weighted by how well their keys match it.

    Written out rather than `F.scaled_dot_product_attention`, so that it maps over tasks and has second derivatives.

    Args:
        queries, keys, values: every head's numbers side by side.
        heads: how many parts d falls into.
        mask: True for what may be read, at least one in each set.

    >>> attend(torch.zeros(1, 2), torch.zeros(3, 2), torch.tensor([[1.0, 0], [2, 0], [6, 9]]), heads=2)
    tensor([[3., 3.]])
    """
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(-2, -3) for part in (queries, keys, values))
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if mask is not None:
        scores = scores.masked_fill(~mask.unsqueeze(-2).unsqueeze(-2), -torch.inf)
    return (scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2)


class Block(nn.Module):
    """A layer of a transformer: attend to a memory, then a net of two layers, each added to its input.

    Unlike `nn.TransformerEncoderLayer` it says what it lets others read (`offer`), so that a memory can be kept and
    asked later; it has no dropout, and normalises before each part (Xiong et al. 2020, arXiv:2002.04745).

    Args:
        width: of a token.
        heads: of the attention; the width must be a multiple of it.
        hidden: width between the two layers.

    Raises:
        UserError: the width is not a multiple of the heads.
    """

    def __init__(self, width: int, *, heads: int, hidden: int):
        super().__init__()
        check_heads(width, heads)
        self.width, self.heads, self.hidden = width, heads, hidden
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.give, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def offer(self, tokens: Float[Tensor, "*sets n d"]) -> Memory:
        """Keys and values of tokens that are to be read in this layer."""
        keys, values = self.give(self.before(tokens)).chunk(2, -1)
        return keys, values

    def forward(
        self,
        tokens: Float[Tensor, "*sets q d"],
        memory: Memory,
        mask: Bool[Tensor, "*sets n"] | None = None,
    ) -> Float[Tensor, "*sets q d"]:
        """The tokens after reading a memory; `mask` says what of it is there to be read."""
        queries = self.ask(self.before(tokens))
        tokens = tokens + self.out(attend(queries, *memory, heads=self.heads, mask=mask))
        return tokens + self.net(self.between(tokens))


def blocks(count: int, width: int, *, heads: int, hidden: int) -> Iterable[Block]:
    """Several blocks as a module, of which type checkers know what it holds."""
    return nn.ModuleList(Block(width, heads=heads, hidden=hidden) for _ in range(count))  # type: ignore[return-value]


def check_heads(width: int, heads: int) -> None:
    """Stop where a width cannot be shared out among heads.

    Raises:
        UserError: with both numbers.
    """
    if heads < 1 or width % heads:
        raise UserError(f"A width of {width} cannot be shared out among {heads} heads; make it a multiple of heads.")
