"""Features from an encoder that is not trained any more, or the inputs themselves."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...functional.batch_norm import call


@torch.no_grad()
def features(encoder: nn.Module | None, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
    """What a frozen encoder makes of inputs, without gradients; inputs flattened to vectors when it is None.

    Batch norm uses running statistics even while the encoder is in training mode, so that no answer depends on others.

    >>> features(None, torch.zeros(3, 2, 2)).shape
    torch.Size([3, 4])
    """
    return x.flatten(1) if encoder is None else call(encoder, {}, x, policy="running").flatten(1)
