"""Pictures turned, sheared, scaled and shifted a little, so that no training example is ever met twice alike."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

NUMBERS = 6  # random numbers that one picture takes
# The furthest that a picture goes at strength 1.
TURN = math.radians(10.0)
SHEAR = 0.10
SCALE = 0.10  # sizes from e^-SCALE to e^SCALE, width and height apart
SHIFT = 0.14  # in half pictures: 2 of 28 pixels


def jittered(
    pictures: Float[Tensor, "n channels height width"], numbers: Float[Tensor, "n 6"], strength: float
) -> Float[Tensor, "n channels height width"]:
    """Each picture moved as its random numbers say; what comes in over an edge repeats the edge.

    Args:
        pictures: any range of values.
        numbers: in [0, 1); 0.5 everywhere leaves a picture as it is.
        strength: times the furthest moves (10 degrees, a tenth in shear and in size, 2 of 28 pixels).

    >>> pictures = torch.rand(2, 1, 5, 5)
    >>> bool(torch.allclose(jittered(pictures, torch.full((2, NUMBERS), 0.5), 1.0), pictures, atol=1e-5))
    True
    """
    turn, shear, wide, high, right, down = (strength * (2 * numbers - 1)).unbind(1)
    cos, sin = (TURN * turn).cos(), (TURN * turn).sin()
    wide, high = (SCALE * wide).exp(), (SCALE * high).exp()
    lean = SHEAR * shear
    rows = [cos * wide, (cos * lean - sin) * high, SHIFT * right, sin * wide, (sin * lean + cos) * high, SHIFT * down]
    points = F.affine_grid(torch.stack(rows, 1).view(-1, 2, 3), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, points, padding_mode="border", align_corners=False)
