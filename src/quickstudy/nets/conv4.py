"""Conv-4: the four-block network of the few-shot literature (Vinyals et al. 2016, arXiv:1606.04080)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Conv4(nn.Module):
    """Four blocks of 3x3 convolution, batch norm and ReLU, each halving the image.

    Unlike ResNet-12 it is small enough for a second-order gradient on a laptop.

    Args:
        channels: of the image.
        size: height and width of the image in pixels.
        width: filters of each block.
        downsample: 'pool' (2x2 max pooling, flattened at the end: prototypical and matching networks) or 'stride'
            (strided convolutions, averaged over space at the end: MAML on Omniglot).
        outputs: size of a linear head on the features; None for the features themselves.

    Attributes:
        features: length of an embedding.
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        size: int = 28,
        width: int = 64,
        downsample: Literal["pool", "stride"] = "pool",
        outputs: int | None = None,
    ):
        super().__init__()
        self.channels, self.size, self.width = channels, size, width
        self.downsample, self.outputs = downsample, outputs
        stride = 2 if downsample == "stride" else 1
        self.convs = nn.ModuleList(nn.Conv2d(c, width, 3, stride, 1) for c in (channels, width, width, width))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))
        self.features = width if downsample == "stride" else width * (size // 16) ** 2
        self.head = nn.Identity() if outputs is None else nn.Linear(self.features, outputs)
        # On a CPU convolutions run up to twice as fast when the channels of a pixel lie side by side in memory.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "n channels size size"]) -> Float[Tensor, "n outputs"]:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
            if self.downsample == "pool":
                x = F.max_pool2d(x, 2)  # before ReLU, which it changes places with: a quarter of the numbers are left
            x = F.relu(x)
        x = x.mean((2, 3)) if self.downsample == "stride" else x.flatten(1)
        return self.head(x)
