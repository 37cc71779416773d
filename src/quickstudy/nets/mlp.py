"""A multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """Linear layers with ReLU between them, on inputs flattened to vectors.

    Args:
        inputs: length of a flattened input.
        outputs: length of an answer.
        hidden: widths of the layers between; (40, 40) is the sinusoid net of the MAML paper.

    Attributes:
        features: length of an answer.
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: Sequence[int] = (40, 40)):
        super().__init__()
        self.inputs, self.outputs, self.hidden = inputs, outputs, tuple(hidden)
        widths = [inputs, *self.hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.features = outputs

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n outputs"]:
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)
