"""Printed shapes redrawn as if by hand: another slant, size, place and pen each time, and lines that wander."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 8  # pixels: how far from an outline its distance is known
FIT = 0.70  # the longer side of an undistorted shape, as a part of the picture
EDGE = 0.94  # a tilted shape is shrunk and moved so that it stays within this part of the picture
KNOTS = 4  # the wandering of the lines is set on a KNOTS x KNOTS grid and smooth in between
NUMBERS = 8 + 2 * KNOTS * KNOTS  # random numbers that one drawing takes

# Tuned on the validation scripts, so that nearest pixels fail (about 1 in 3 of 5-way 1-shot) and people do not.
TURN = math.radians(15.0)
SHEAR = 0.30
SCALE = 0.25  # sizes from e^-SCALE to e^SCALE
ASPECT = 0.20  # width over height, likewise
WANDER = 0.12  # in half pictures
PEN = 0.050, 0.105  # half the width of a line, in half pictures
THICKER, THINNER = 0.04, 0.35  # what a pen may add, in half pictures, and take away, of the line
SHIFT = 0.25  # in half pictures, and never over the edge
NOISY, NOISE = 0.25, 0.08  # one drawing in four has grain, of this deviation (ink is 1)


def signed_distance(ink: Tensor) -> Tensor:
    """How deep each pixel lies inside the ink, in pixels; negative outside, cut at REACH.

    Args:
        ink: (N, H, W) covered part of each pixel, 0..1.

    Returns:
        (N, H, W) float32.

    Source: grey pixels as in TinySDF (github.com/mapbox/tiny-sdf), squared distances one axis after the other as in
    Felzenszwalb and Huttenlocher 2012 (doi:10.4086/toc.2012.v008a019).

    >>> signed_distance(torch.tensor([[[0.0, 0.0, 0.5, 1.0, 1.0]]])).tolist()
    [[[-2.0, -1.0, 0.0, 1.0, 2.0]]]
    """
    return _distance(ink - 0.5) - _distance(0.5 - ink)


def _distance(side: Tensor) -> Tensor:
    """(N, H, W) distance to where `side` is not positive; 0.5 is a pixel wholly off it, less a part of one."""
    far = float(REACH * REACH)
    square = torch.where(side >= 0.5, far, side.clamp(min=0.0).square())
    for axis in (1, 2):
        nearest = square.clone()
        for step in range(1, min(REACH, square.shape[axis])):
            length = square.shape[axis] - step
            there, here = square.narrow(axis, step, length), square.narrow(axis, 0, length)
            ahead, behind = nearest.narrow(axis, 0, length), nearest.narrow(axis, step, length)
            torch.minimum(ahead, there + step * step, out=ahead)
            torch.minimum(behind, here + step * step, out=behind)
        square = nearest
    return square.sqrt()


def half_widths(distance: Tensor) -> Tensor:
    """(N,) half the usual width of a shape's lines, in pixels: its area over the length of its outline.

    Args:
        distance: (N, H, W) from signed_distance.

    >>> bar = torch.zeros(1, 40, 40)
    >>> bar[:, 2:38, 17:23] = 1
    >>> 2 < half_widths(signed_distance(bar)).item() < 3.5
    True
    """
    area = (0.5 + distance).clamp(0, 1).sum((1, 2))
    outline = (distance.abs() <= 1.0).sum((1, 2)) / 2
    return area / outline.clamp(min=1.0)


def draw(distance: Tensor, halves: Tensor, numbers: Tensor, size: int) -> Tensor:
    """Each shape drawn once, with a slant, size, place, pen and wander set by its random numbers.

    Numbers of 0.5 give the printed shape.

    Args:
        distance: (N, S, S) from signed_distance; the shape's longer side takes FIT of the picture.
        halves: (N, 2) half the shape's width and height, in half pictures.
        numbers: (N, NUMBERS) in [0, 1).
        size: pixels of a side of the result.

    Returns:
        (N, size, size) of 0..1, 1 is ink.

    Source: the elastic field of Simard et al. 2003 (doi:10.1109/ICDAR.2003.1227801), smooth because its grid is
    coarse and not because it was filtered.

    >>> bar = torch.zeros(1, 32, 32)
    >>> bar[:, 5:27, 12:20] = 1
    >>> picture = draw(signed_distance(bar), torch.tensor([[0.25, 0.7]]), torch.full((1, NUMBERS), 0.5), 28)
    >>> picture.shape, picture[0, 14, 14].item(), picture[0, 14, 2].item()
    (torch.Size([1, 28, 28]), 1.0, 0.0)
    """
    n, half = len(distance), distance.shape[-1] / 2
    sway = 2 * numbers - 1
    back, scale = _placement(sway, halves)
    points = F.affine_grid(back, [n, 1, size, size], align_corners=False)
    # Added on the shape's side of the map: what wanders is the hand within the letter.
    knots = WANDER * sway[:, 8:].view(n, 2, KNOTS, KNOTS)
    points = points + F.interpolate(knots, (size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    depth = F.grid_sample(distance[:, None], points, padding_mode="border", align_corners=False)[:, 0]
    had = half_widths(distance)
    wanted = half * (PEN[0] + (PEN[1] - PEN[0]) * numbers[:, 6]) / scale
    # A thin pen must not rub out hairlines, nor a thick one fill the holes of a crowded letter.
    more = (wanted - had).clamp(max=THICKER * half).maximum(-THINNER * had)
    pixel = 2 * half / size / scale
    return ((depth + more[:, None, None]) / pixel[:, None, None] + 0.5).clamp(0, 1)


def grainy(pictures: Tensor, numbers: Tensor, grain: Tensor) -> Tensor:
    """Pictures of 0..1 as bytes, one in four (NOISY) with a little noise.

    Args:
        pictures: (N, H, W) from draw.
        numbers: (N, NUMBERS), those that drew them.
        grain: (N, H, W) standard normal.

    Returns:
        (N, H, W) uint8, ink is 255.

    >>> grainy(torch.ones(1, 1, 2), torch.zeros(1, NUMBERS), torch.tensor([[[0.0, -1.0]]])).tolist()
    [[[255, 235]]]
    """
    noise = NOISE * (numbers[:, 7] < NOISY).to(pictures.dtype)
    return ((pictures + noise[:, None, None] * grain).clamp(0, 1) * 255).round().to(torch.uint8)


def _placement(sway: Tensor, halves: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 2, 3) map from the picture to the shape, and (N,) how much larger the shape is drawn; `sway` is in [-1, 1)."""
    turn, shear, aspect = TURN * sway[:, 0], SHEAR * sway[:, 1], (ASPECT / 2 * sway[:, 3]).exp()
    scale = (SCALE * sway[:, 2]).exp()
    cos, sin = turn.cos(), turn.sin()
    slanted = torch.stack([aspect, shear / aspect, torch.zeros_like(turn), 1 / aspect], 1).view(-1, 2, 2)
    turned = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    forth = turned @ slanted
    reach = (forth.abs() @ halves[:, :, None])[:, :, 0]
    scale = torch.minimum(scale, EDGE / reach.amax(1))
    room = (EDGE - reach * scale[:, None]).clamp(0, SHIFT)
    back = torch.linalg.inv(forth * scale[:, None, None])
    return torch.cat([back, -back @ (room * sway[:, 4:6])[:, :, None]], 2), scale
