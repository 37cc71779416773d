"""ResNet-12: the larger network of the few-shot literature (Oreshkin et al. 2018, arXiv:1805.10123)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1  # of LeakyReLU below zero


class ResNet12(nn.Module):
    """Four residual blocks of three 3x3 convolutions, each halving the image; averaged over space at the end.

    Unlike Conv-4 it has 12 million weights instead of 0.1, takes images of any size from 16 pixels on, and is too large
    for a second-order gradient on a laptop. Its published form drops blocks of features in training (DropBlock);
    this one does not, so that an answer depends on the input alone.

    Args:
        channels: of the image.
        widths: filters of each block; (64, 128, 256, 512) is the narrower one of some papers.
        outputs: size of a linear head on the features; None for the features themselves.

    Attributes:
        features: length of an embedding.

    Source: widths, slope and start as in Lee et al. 2019 (MetaOptNet, arXiv:1904.03758).

    >>> net = ResNet12(1, widths=(4, 8, 16, 32))
    >>> net(torch.zeros(2, 1, 28, 28)).shape, net.features
    (torch.Size([2, 32]), 32)
    """

    def __init__(self, channels: int = 3, *, widths: Sequence[int] = (64, 160, 320, 640), outputs: int | None = None):
        super().__init__()
        self.channels, self.widths, self.outputs = channels, tuple(widths), outputs
        pairs = zip((channels, *self.widths), self.widths, strict=False)
        self.blocks = nn.Sequential(*(_Block(before, after) for before, after in pairs))
        self.features = self.widths[-1]
        self.head = nn.Identity() if outputs is None else nn.Linear(self.features, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")
        # On a CPU convolutions run up to twice as fast when the channels of a pixel lie side by side in memory.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n outputs"]:
        return self.head(self.blocks(x).mean((2, 3)))


class _Block(nn.Module):
    """Three convolutions, added to a 1x1 convolution of the same input, then pooled."""

    def __init__(self, before: int, after: int):
        super().__init__()
        # Without bias: the norm after each has one.
        self.convs = nn.ModuleList(nn.Conv2d(c, after, 3, 1, 1, bias=False) for c in (before, after, after))
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(3))
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y))
            if i < 2:
                y = F.leaky_relu(y, SLOPE)
        return F.leaky_relu(F.max_pool2d(y + self.shortcut(x), 2), SLOPE)
