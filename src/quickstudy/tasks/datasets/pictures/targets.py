"""Two sets of pictures to test on what was learned elsewhere: hand signs, and things on a turntable."""

from __future__ import annotations

import numpy as np
import torch

from ...pool import Pool
from ..brought import brought
from ..download import read_arrays
from .size import at_size


def sign_digits(*, size: int = 64) -> Pool:
    """Photographs of hands that sign the digits 0 to 9 (Mavi 2020, arXiv:2011.11927): 2,062, some 206 of each.

    All ten classes are for the test, `Episodes(pool, split="test")`: train on other pictures.

    Args:
        size: pixels of a side, 8 to 64.

    Returns:
        x (2062, 1, size, size) uint8.

    Raises:
        MissingData: it is not on this machine.
        BadFile: the file is damaged.

    >>> sign_digits(size=28).x.shape  # doctest: +SKIP
    torch.Size([2062, 1, 28, 28])
    """
    (path,) = brought("sign-digits")
    found = read_arrays(path, "images", "label")
    return _all_tested("sign-digits", at_size(found["images"], size), found["label"])


def coil20(*, size: int = 32) -> Pool:
    """Twenty things on a turntable (Nene et al. 1996): 50 views of each, the background black.

    All twenty classes are for the test, `Episodes(pool, split="test")`: train on other pictures.

    Args:
        size: pixels of a side, 8 to 32.

    Returns:
        x (1000, 1, size, size) uint8.

    Raises:
        MissingData: it is not on this machine.
        BadFile: the file is damaged.

    >>> coil20().x.shape  # doctest: +SKIP
    torch.Size([1000, 1, 32, 32])
    """
    (path,) = brought("coil-20")
    found = read_arrays(path, "images", "obj")
    return _all_tested("coil-20", at_size(found["images"], size), found["obj"])


def _all_tested(name: str, x: torch.Tensor, label: np.ndarray) -> Pool:
    kinds, y = np.unique(label, return_inverse=True)
    names = tuple(map(str, kinds.tolist()))
    return Pool(name, x, torch.from_numpy(y), names, names, ("test",) * len(names))
