"""Convolutions along time, for series and sounds (Wang et al. 2017, arXiv:1611.06455)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Conv1d(nn.Module):
    """Blocks of 1-D convolution, batch norm and ReLU, each halving the time, then the largest value of each filter.

    The largest rather than the mean: where a series ends is padding, and it must not matter how long that is.

    Args:
        channels: of the series.
        width: filters of each block.
        blocks: how many; the last sees 2^blocks points apart.
        kernel: points that a filter spans, odd.
        outputs: size of a linear head on the features; None for the features themselves.

    Attributes:
        features: length of an embedding.
    """

    def __init__(self, channels: int, *, width: int = 64, blocks: int = 3, kernel: int = 5, outputs: int | None = None):
        super().__init__()
        self.channels, self.width, self.blocks = channels, width, blocks
        self.kernel, self.outputs = kernel, outputs
        before = (channels, *(width for _ in range(blocks - 1)))
        self.convs = nn.ModuleList(nn.Conv1d(c, width, kernel, padding=kernel // 2) for c in before)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(blocks))
        self.features = width
        self.head = nn.Identity() if outputs is None else nn.Linear(width, outputs)

    def forward(self, x: Float[Tensor, "n channels time"]) -> Float[Tensor, "n outputs"]:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x))
            if x.shape[2] > 1:
                x = F.max_pool1d(x, 2, ceil_mode=True)
            x = F.relu(x)
        return self.head(x.amax(2))
