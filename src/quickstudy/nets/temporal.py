"""Causal convolutions and causal attention over a sequence (Mishra et al. 2018, arXiv:1707.03141).

A sequence may be read in parts: a block is handed what earlier positions have left behind, its past, and gives back
what its own positions leave. So many continuations of one beginning cost one step each, and the beginning is read once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import UserError

Past = tuple[Tensor, ...]  # each (rows, channels), oldest first


class DenseBlock(nn.Module):
    """Appends tanh(f) * sigmoid(g) to a position, both linear in it and in the one `dilation` before it.

    Unlike attention it looks at one fixed distance back; before the first position there are zeros.

    Args:
        inputs: channels that come in.
        filters: channels that are appended.
        dilation: how far back it looks.

    Attributes:
        features: channels that go out.

    >>> block = DenseBlock(3, 4, dilation=2)
    >>> y, _ = block(torch.ones(5, 3), block.start())
    >>> y.shape
    torch.Size([5, 7])
    """

    def __init__(self, inputs: int, filters: int, *, dilation: int):
        super().__init__()
        self.inputs, self.filters, self.dilation = inputs, filters, dilation
        self.features = inputs + filters
        self.here = nn.Linear(inputs, 2 * filters)
        self.before = nn.Linear(inputs, 2 * filters, bias=False)
        # A convolution of two taps, so its fan-in is that of both.
        for layer in (self.here, self.before):
            nn.init.uniform_(layer.weight, -((2 * inputs) ** -0.5), (2 * inputs) ** -0.5)

    def start(self) -> Past:
        """The past of the first position."""
        return (self.here.weight.new_zeros(self.dilation, self.inputs),)

    def forward(
        self, x: Float[Tensor, "*sequences m inputs"], past: Past
    ) -> tuple[Float[Tensor, "*sequences m features"], Past]:
        (seen,) = past
        m, own = x.shape[-2], x.shape[-2] - self.dilation
        earlier = seen[:m]  # one for all sequences, so it is multiplied once
        if own > 0:
            earlier = torch.cat([seen.expand(*x.shape[:-2], -1, -1), x[..., :own, :]], -2)
        f, g = (self.here(x) + self.before(earlier)).chunk(2, -1)
        return torch.cat([x, f.tanh() * g.sigmoid()], -1), (x,)

    def after(self, past: Past, left: Past) -> Past:
        """The past of the position that follows a single sequence: as many rows as it can see."""
        return (torch.cat([past[0], left[0]])[-self.dilation :],)


class AttentionBlock(nn.Module):
    """Appends what one head of attention reads at a position and all before it.

    Args:
        inputs: channels that come in.
        keys: length of a key and of a question.
        values: channels that are appended.

    Attributes:
        features: channels that go out.

    >>> block = AttentionBlock(3, keys=8, values=2)
    >>> y, _ = block(torch.ones(5, 3), block.start())
    >>> y.shape
    torch.Size([5, 5])
    """

    def __init__(self, inputs: int, *, keys: int, values: int):
        super().__init__()
        self.inputs, self.keys, self.values = inputs, keys, values
        self.features = inputs + values
        self.to_question, self.to_key = nn.Linear(inputs, keys), nn.Linear(inputs, keys)
        self.to_value = nn.Linear(inputs, values)

    def start(self) -> Past:
        """The past of the first position."""
        weight = self.to_key.weight
        return weight.new_zeros(0, self.keys), weight.new_zeros(0, self.values)

    def forward(
        self, x: Float[Tensor, "*sequences m inputs"], past: Past
    ) -> tuple[Float[Tensor, "*sequences m features"], Past]:
        (old_keys, old_values), m = past, x.shape[-2]
        question, keys, values = self.to_question(x) / math.sqrt(self.keys), self.to_key(x), self.to_value(x)
        later = torch.ones(m, m, dtype=torch.bool, device=x.device).triu(1)
        own = (question @ keys.mT).masked_fill(later, -torch.inf)
        share = torch.cat([question @ old_keys.mT, own], -1).softmax(-1)
        read = share[..., :-m] @ old_values + share[..., -m:] @ values
        return torch.cat([x, read], -1), (keys, values)

    def after(self, past: Past, left: Past) -> Past:
        """The past of the position that follows a single sequence."""
        return torch.cat([past[0], left[0]]), torch.cat([past[1], left[1]])


class Temporal(nn.Module):
    """Attention blocks with dense blocks between them that together see `length` positions: SNAIL without its head.

    Dilations are 1, 2, 4 and on, so that convolutions reach every one of the last `length` positions. (The paper's
    text and figure have them so; the pseudocode in it begins at 2, which leaves out every other position.)

    Args:
        inputs: channels of a position.
        length: positions that the convolutions between two attention blocks can see.
        attention: (keys, values) of each attention block.
        filters: of each dense block.

    Attributes:
        features: channels that go out.

    Raises:
        UserError: no attention block, or fewer than two positions.

    >>> net = Temporal(8, length=6, attention=((4, 2), (4, 3)), filters=5)
    >>> len(net.blocks), net.features
    (5, 28)
    """

    def __init__(
        self,
        inputs: int,
        *,
        length: int,
        attention: Sequence[tuple[int, int]] = ((64, 32), (256, 128), (512, 256)),
        filters: int = 128,
    ):
        super().__init__()
        if length < 2 or not attention:
            raise UserError(
                f"length is {length} and there are {len(attention)} attention blocks; a sequence has at least 2"
                " positions, and something has to attend to them."
            )
        self.inputs, self.length, self.attention, self.filters = inputs, length, tuple(attention), filters
        blocks: list[DenseBlock | AttentionBlock] = []
        width = inputs
        for i, (keys, values) in enumerate(self.attention):
            if i:
                for level in range((length - 1).bit_length()):  # the base-2 logarithm of length, rounded up
                    blocks.append(DenseBlock(width, filters, dilation=2**level))
                    width = blocks[-1].features
            blocks.append(AttentionBlock(width, keys=keys, values=values))
            width = blocks[-1].features
        self.blocks, self.features = nn.ModuleList(blocks), width

    def start(self) -> tuple[Past, ...]:
        """The pasts of the first position, one a block."""
        return tuple(block.start() for block in self.blocks)  # type: ignore[operator]

    def forward(
        self, x: Float[Tensor, "*sequences m inputs"], pasts: tuple[Past, ...]
    ) -> tuple[Float[Tensor, "*sequences m features"], tuple[Past, ...]]:
        """The answers of m further positions, and what each block leaves there."""
        left = []
        for block, past in zip(self.blocks, pasts, strict=True):
            x, own = block(x, past)
            left.append(own)
        return x, tuple(left)

    def after(self, pasts: tuple[Past, ...], left: tuple[Past, ...]) -> tuple[Past, ...]:
        """The pasts of the position that follows a single sequence, which left `left`."""
        return tuple(b.after(p, own) for b, p, own in zip(self.blocks, pasts, left, strict=True))  # type: ignore[operator]
