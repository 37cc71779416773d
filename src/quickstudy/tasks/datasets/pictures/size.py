"""Small grey pictures at the size that a net was trained for."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ....errors import UserError


def at_size(images: np.ndarray, size: int) -> Tensor:
    """Square pictures (N, side, side) as (N, 1, size, size) uint8; each pixel is the mean of its area.

    Raises:
        UserError: larger than they are, or smaller than 8 pixels.

    >>> at_size(np.full((3, 64, 64), 7, dtype=np.uint8), 28).shape
    torch.Size([3, 1, 28, 28])
    """
    side = images.shape[-1]
    if not 8 <= size <= side:
        raise UserError(f"These pictures have {side} pixels a side; size is {size}, but must be 8 to {side}.")
    found = torch.from_numpy(np.ascontiguousarray(images))[:, None]
    if size == side:
        return found
    return torch.cat([F.interpolate(part.float(), size, mode="area").round().byte() for part in found.split(512)])
