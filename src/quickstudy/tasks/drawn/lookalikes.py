"""Characters that look alike once they are scaled to one size: o and O, Latin A, Greek Α and Cyrillic А."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bits = NDArray[np.float32]

SIDE = 48  # pixels of the box that every shape is stretched to
NEAR = 3  # pixels by which outlines may differ; o is drawn about 2 thicker than O when both fill the box
STRAY = 0.023  # part of the ink that may lie further away
ACROSS = 0.055  # the same for shapes on two sides of a split
NARROW = 0.25  # thinner shapes are widened to this share of their height, so that a serif on a bar is not blown up
ASPECT = 0.5  # how much the logarithm of width over height may differ


def distinct(ink: Bits, aspect: NDArray[np.float64], side: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which shapes to keep, so that no two look alike; the first of those that do stays.

    Two shapes look alike if all ink of each lies within NEAR pixels of ink of the other and they are about as wide
    for their height. Unlike a correlation, this is not blind to a dot or a bar, however small its share of the ink.
    Within a side a chain of shapes that look alike counts as one. Across sides more counts as alike, since a leak is
    worse than a class less; only pairs do there, or a shape of one side would tie together two of another.

    Args:
        ink: (N, SIDE, SIDE) of 0 or 1, stretched to the box.
        aspect: (N,) logarithm of width over height before that.
        side: (N,) ascending number of the side that each stands on.

    Returns:
        (N,) whether to keep it.

    >>> ring = np.ones((SIDE, SIDE), np.float32)
    >>> ring[10:-10, 10:-10] = 0
    >>> thin, full = ring.copy(), np.ones_like(ring)
    >>> thin[8:-8, 8:-8] = 0
    >>> shapes, aspects = np.stack([full, ring, thin, full]), np.array([0.0, 0.0, 0.1, 1.0])
    >>> distinct(shapes, aspects, np.array([0, 0, 1, 1])).tolist()
    [True, True, False, True]
    """
    flat, paper = ink.reshape(len(ink), -1), 1 - _thickened(ink).reshape(len(ink), -1)
    stray = (flat @ paper.T) / flat.sum(1, keepdims=True)
    stray = np.maximum(stray, stray.T)
    stray[np.abs(aspect[:, None] - aspect) > ASPECT] = np.inf
    group = np.arange(len(ink))
    while True:
        # Each takes the smallest name among those it looks like, until nothing changes: chains close.
        smaller = np.where(stray <= STRAY, group, len(ink)).min(1)
        if (smaller == group).all():
            break
        group = smaller
    met_before: NDArray[np.bool_] = ((stray <= ACROSS) & (side < side[:, None])).any(1)
    first: NDArray[np.bool_] = group == np.arange(len(ink))
    return first & ~met_before


def boxed(picture: Image.Image) -> tuple[Bits, float]:
    """A grey picture, cut to its ink, as (SIDE, SIDE) of 0 or 1, and the logarithm of its width over its height.

    >>> ink, aspect = boxed(Image.new("L", (10, 100), 255))
    >>> round(float(ink.mean()), 2), round(aspect, 2)
    (0.42, -2.3)
    """
    width, height = picture.size
    wide, high = max(width, round(NARROW * height)), max(height, round(NARROW * width))
    frame = Image.new("L", (wide, high))
    frame.paste(picture, ((wide - width) // 2, (high - height) // 2))
    ink = np.asarray(frame.resize((SIDE, SIDE), Image.Resampling.BOX)) > 127
    return ink.astype(np.float32), math.log(width / height)


def _thickened(ink: Bits) -> Bits:
    """(N, SIDE, SIDE) with ink wherever there was some within NEAR pixels, in a circle."""
    padded = np.pad(ink, ((0, 0), (NEAR, NEAR), (NEAR, NEAR)))
    out = ink.copy()
    for down in range(-NEAR, NEAR + 1):
        for right in range(-NEAR, NEAR + 1):
            if down * down + right * right <= NEAR * NEAR:
                shifted = padded[:, NEAR + down : NEAR + down + SIDE, NEAR + right : NEAR + right + SIDE]
                np.maximum(out, shifted, out=out)
    return out
