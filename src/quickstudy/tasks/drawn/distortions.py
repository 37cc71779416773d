"""Printed shapes redrawn as if by hand: another slant, size, place and pen each time, and lines that wander."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Picture = NDArray[np.float32]

REACH = 6  # pixels: how far from an outline its distance is known
FIT = 0.70  # the longer side of an undistorted shape, as a part of the picture
EDGE = 0.90  # a tilted shape is shrunk and moved so that it stays within this part of the picture
KNOTS = 4  # the wandering of the lines is set on a KNOTS x KNOTS grid and smooth in between
NUMBERS = 8 + 2 * KNOTS * KNOTS  # random numbers that one drawing takes

# Tuned on the validation scripts, so that nearest pixels fail (38 % of 5-way 1-shot) and people do not.
TURN = math.radians(15.0)
SHEAR = 0.30
SCALE = 0.30  # sizes from e^-SCALE to e^SCALE
ASPECT = 0.20  # width over height, likewise
WANDER = 0.10  # in half pictures
PEN = 0.050, 0.105  # half the width of a line, in half pictures
THICKER, THINNER = 0.04, 0.35  # what a pen may add, in half pictures, and take away, of the line
SHIFT = 0.40  # in half pictures, and never over the edge
NOISY, NOISE = 0.25, 0.08  # one drawing in four has grain, of this deviation (ink is 1)


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Printed shapes, ready to be drawn with any pen.

    Args:
        depth: (N, S, S) how deep each pixel lies inside the ink, in pixels; negative outside.
        halves: (N, 2) half of each shape's width and height, in half pictures.
        pen: (N,) half the usual width of a shape's lines, in pixels.
    """

    depth: Tensor
    halves: Tensor
    pen: Tensor

    @classmethod
    def of(cls, pictures: list[Image.Image], canvas: int) -> Shapes:
        """Grey pictures, cut to their ink, scaled to FIT of a canvas of this many pixels a side.

        >>> shapes = Shapes.of([Image.new("L", (12, 90), 255)], 64)
        >>> shapes.depth.shape, shapes.halves.tolist(), round(shapes.pen.item())
        (torch.Size([1, 64, 64]), [[0.09375, 0.703125]], 3)
        """
        framed, halves = [], []
        for picture in pictures:
            zoom = FIT * canvas / max(picture.size)
            width, height = (max(1, round(zoom * side)) for side in picture.size)
            frame = Image.new("L", (canvas, canvas))
            frame.paste(picture.resize((width, height)), ((canvas - width) // 2, (canvas - height) // 2))
            framed.append(np.asarray(frame))
            halves.append((width / canvas, height / canvas))
        depth = torch.from_numpy(signed_distance(np.stack(framed).astype(np.float32) / np.float32(255)))
        # What a line covers over the length of its two sides: at the outline the depth is about 0.
        covered = (0.5 + depth).clamp(0, 1).sum((1, 2))
        outline = (depth.abs() <= 1.0).sum((1, 2)) / 2
        return cls(depth, torch.tensor(halves), covered / outline.clamp(min=1))

    def __getitem__(self, rows: Tensor) -> Shapes:
        return Shapes(self.depth[rows], self.halves[rows], self.pen[rows])


def signed_distance(ink: Picture) -> Picture:
    """How deep each pixel lies inside the ink, in pixels; negative outside, cut at REACH.

    Args:
        ink: (N, H, W) covered part of each pixel, 0..1.

    Returns:
        (N, H, W).

    Source: grey pixels as in TinySDF (github.com/mapbox/tiny-sdf), squared distances one axis after the other as in
    Felzenszwalb and Huttenlocher 2012 (doi:10.4086/toc.2012.v008a019).

    >>> signed_distance(np.array([[[0, 0, 0.5, 1, 1]]], np.float32)).tolist()
    [[[-2.0, -1.0, 0.0, 1.0, 2.0]]]
    """
    # NumPy, and few at a time: hundreds of small steps, which torch's threads take longer to agree on than to do.
    parts = [ink[first : first + 32] for first in range(0, len(ink), 32)]
    return np.concatenate([_distance(part - 0.5) - _distance(0.5 - part) for part in parts])


def _distance(side: Picture) -> Picture:
    """(N, H, W) distance to where `side` is not positive; 0.5 is a pixel wholly off it, less a part of one."""
    square = np.where(side >= 0.5, np.float32(REACH * REACH), np.maximum(side, 0) ** 2)
    for axis in (1, 2):
        square = np.moveaxis(square, axis, 1)
        nearest = square.copy()
        for step in range(1, min(REACH, square.shape[1])):
            np.minimum(nearest[:, :-step], square[:, step:] + step * step, out=nearest[:, :-step])
            np.minimum(nearest[:, step:], square[:, :-step] + step * step, out=nearest[:, step:])
        square = np.moveaxis(nearest, 1, axis)
    return np.sqrt(square)


def draw(shapes: Shapes, numbers: Tensor, size: int) -> Tensor:
    """Each shape drawn once, with a slant, size, place, pen and wander set by its random numbers.

    Numbers of 0.5 give the printed shape.

    Args:
        shapes: N of them.
        numbers: (N, NUMBERS) in [0, 1).
        size: pixels of a side of the result.

    Returns:
        (N, size, size) of 0..1, 1 is ink.

    Source: the elastic field of Simard et al. 2003 (doi:10.1109/ICDAR.2003.1227801), smooth because its grid is
    coarse and not because it was filtered.

    >>> bar = Shapes.of([Image.new("L", (20, 90), 255)], 64)
    >>> picture = draw(bar, torch.full((1, NUMBERS), 0.5), 28)
    >>> picture.shape, picture[0, 14, 14].item(), picture[0, 14, 2].item()
    (torch.Size([1, 28, 28]), 1.0, 0.0)
    """
    half = shapes.depth.shape[-1] / 2
    sway = 2 * numbers - 1
    back, scale = _placement(sway, shapes.halves)
    points = F.affine_grid(back, [len(numbers), 1, size, size], align_corners=False)
    # Added on the shape's side of the map: what wanders is the hand within the letter.
    knots = WANDER * sway[:, 8:].view(-1, 2, KNOTS, KNOTS)
    points = points + F.interpolate(knots, (size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    depth = F.grid_sample(shapes.depth[:, None], points, padding_mode="border", align_corners=False)[:, 0]
    wanted = half * (PEN[0] + (PEN[1] - PEN[0]) * numbers[:, 6]) / scale
    # A thin pen must not rub out hairlines, nor a thick one fill the holes of a crowded letter.
    more = (wanted - shapes.pen).clamp(max=THICKER * half).maximum(-THINNER * shapes.pen)
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
    """(N, 2, 3) map from the picture to the shape, and (N,) how much larger it is drawn; `sway` is in [-1, 1)."""
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
