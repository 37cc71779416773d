"""Defects of magnetic tiles (Huang et al. 2020, doi:10.1007/s00371-018-1588-5): a new exposure is a new line."""

from __future__ import annotations

import numpy as np
import torch

from ...class_groups import ClassGroups
from ..brought import brought
from ..download import read_arrays
from .size import at_size

SIDES = {1: "train", 2: "train", 3: "train", 4: "validation", 5: "test", 6: "test"}


def magnetic_tile(
    *,
    size: int = 64,
    shots: int = 1,
    queries: int | None = 3,
    in_turn: bool = False,
    seed: int = 0,
    split: str = "train",
) -> ClassGroups:
    """Tiles under six exposures, each a task: five defects and none, the same six classes in every task.

    Exposures 1 to 3 train, 4 validates, 5 and 6 test; three pictures of no known exposure are left out. Going by
    their likeness, most tiles were photographed under every exposure: new in a test task is the light, not the tile.
    Classes are very unequal: 4 to 6 frayed tiles an exposure, and some 158 without a defect.

    Args:
        size: pixels of a side, 8 to 64.
        shots: tiles of each class; at most 3, or the rarest class has none left to ask.
        queries: tiles of each class; None asks for all others.
        in_turn: every exposure equally often.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        MissingData: it is not on this machine.
        BadFile: the file is damaged.

    >>> magnetic_tile(size=28).sample(0, 2).support.x.shape  # doctest: +SKIP
    torch.Size([2, 6, 1, 28, 28])
    """
    (path,) = brought("magnetic-tile")
    found = read_arrays(path, "images", "label", "class_name", "exposure")
    exposures, group = np.unique(found["exposure"], return_inverse=True)
    return ClassGroups(
        "magnetic-tile",
        at_size(found["images"], size),
        torch.from_numpy(found["label"].astype(np.int64)),
        torch.from_numpy(group),
        tuple(SIDES.get(exposure, "") for exposure in exposures.tolist()),
        classes=tuple(name.removeprefix("MT_").lower() for name in found["class_name"].tolist()),
        shots=shots,
        queries=queries,
        in_turn=in_turn,
        seed=seed,
        split=split,
    )
