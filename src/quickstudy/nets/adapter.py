"""Features that are good already, changed as far as tasks teach (Gao et al. 2021, arXiv:2110.04544)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Adapter(nn.Module):
    """A vector scaled to length one, plus what a small net makes of it, which at first is next to nothing.

    Unlike an MLP it begins as the features it is given: what is meta-trained starts where nearest class means on a
    frozen encoder are, and cannot be worse for want of training.

    Args:
        inputs: length of a vector; answers are as long.
        hidden: width of the small net.
        scale: what vectors are multiplied by, learned: distances between vectors of length one are too small to be
            sure of anything.

    Attributes:
        features: length of an answer.

    >>> Adapter(2, scale=3.0)(torch.tensor([[0.0, 5.0]])).round().abs().tolist()
    [[0.0, 3.0]]
    """

    def __init__(self, inputs: int, *, hidden: int = 256, scale: float = 4.0):
        super().__init__()
        self.inputs, self.hidden, self.scale = inputs, hidden, scale
        self.features = inputs
        self.first, self.last = nn.Linear(inputs, hidden), nn.Linear(hidden, inputs, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(scale).log())

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n inputs"]:
        x = F.normalize(x, dim=-1)
        # Widths are divided out, so that a step of an optimizer turns a vector by as much whatever they are.
        hidden = F.relu(self.first(self.inputs**0.5 * x))
        return self.log_scale.exp() * (x + self.last(hidden) / (self.inputs * self.hidden) ** 0.5)
