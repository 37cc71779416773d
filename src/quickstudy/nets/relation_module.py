"""The two nets of relation networks on small images (Sung et al. 2018, arXiv:1711.06025)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UserError


class ConvMaps(nn.Module):
    """Four blocks of 3x3 convolution, batch norm and ReLU, whose first two halve the image: feature maps.

    Unlike Conv-4 its answer is not flattened and keeps more of the places: 64 maps of 5 x 5 for an Omniglot character.

    Args:
        channels: of the image.
        size: height and width of the image in pixels.
        width: filters of each block.

    Attributes:
        side: height and width of a map.

    Raises:
        UserError: images so small that nothing is left of them.

    >>> net = ConvMaps()
    >>> net(torch.zeros(2, 1, 28, 28)).shape, net.side
    (torch.Size([2, 64, 5, 5]), 5)
    """

    def __init__(self, channels: int = 1, *, size: int = 28, width: int = 64):
        super().__init__()
        self.channels, self.size, self.width = channels, size, width
        self.side = ((size - 2) // 2 - 2) // 2  # the first two convolutions have no padding
        if self.side < 1:
            raise UserError(f"Nothing is left of images of {size} pixels after two blocks; use 10 pixels or more.")
        inputs, padding = (channels, width, width, width), (0, 0, 1, 1)
        self.convs = nn.ModuleList(nn.Conv2d(c, width, 3, 1, p) for c, p in zip(inputs, padding, strict=True))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))
        # On a CPU convolutions run up to twice as fast when the channels of a pixel lie side by side in memory.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "n channels size size"]) -> Float[Tensor, "n width side side"]:
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))
            if number < 2:
                x = F.max_pool2d(x, 2)
        return x


class RelationModule(nn.Module):
    """Two blocks of convolution that halve the maps, then two dense layers: how well two things go together.

    Args:
        channels: maps of one of the two, which come one after the other.
        side: height and width of a map.
        width: filters of each block.
        hidden: width of the dense layer between.

    Raises:
        UserError: maps too small to be halved twice.

    >>> RelationModule(64, 5)(torch.zeros(3, 128, 5, 5)).shape
    torch.Size([3, 1])
    """

    def __init__(self, channels: int = 64, side: int = 5, *, width: int = 64, hidden: int = 8):
        super().__init__()
        if side < 4:
            raise UserError(f"Maps of {side} x {side} cannot be halved twice; use an encoder whose maps are 4 or more.")
        self.channels, self.side, self.width, self.hidden = channels, side, width, hidden
        self.convs = nn.ModuleList(nn.Conv2d(c, width, 3, 1, 1) for c in (2 * channels, width))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.inner = nn.Linear(width * (side // 4) ** 2, hidden)
        self.head = nn.Linear(hidden, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "n both side side"]) -> Float[Tensor, "n 1"]:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        return self.head(F.relu(self.inner(x.flatten(1))))
