"""Spoken digits (Free Spoken Digit Dataset, Jackson et al., doi:10.5281/zenodo.1342401), as log-mel spectra."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from ....errors import UnknownName
from ...class_groups import ClassGroups
from ...pool import Pool
from ..brought import brought
from ..download import read_arrays

# In the order of the alphabet and of counting, so that nobody chose.
SPEAKERS = ("train", "train", "train", "validation", "test", "test")
DIGITS = ("train",) * 4 + ("validation",) * 3 + ("test",) * 3
PARTITIONS = ("speakers", "digits", "both")


def fsdd(partition: Literal["speakers", "digits", "both"] = "speakers") -> Pool:
    """A digit in a speaker's voice is a class: 6 speakers, 10 digits, 50 recordings of each.

    Unlike `fsdd_speakers` a task may mix speakers.

    Args:
        partition: 'speakers' keeps speakers apart: 3 train, 1 validates, 2 test. 'digits' keeps digits apart: 0 to 3
            train, 4 to 6 validate, 7 to 9 test. 'both' tests new digits in new voices; what is new in one way alone is
            left out.

    Returns:
        x (3000, 1, 40, 64) uint8: 40 mel bands, 64 frames of 10 ms.

    Raises:
        MissingData: it is not on this machine.
        BadFile: the file is damaged.
        UnknownName: no such partition.

    >>> fsdd("both").x.shape  # doctest: +SKIP
    torch.Size([3000, 1, 40, 64])
    """
    if partition not in PARTITIONS:
        raise UnknownName.among("partition of fsdd", partition, PARTITIONS)
    x, digit, speaker, names = _read()
    sides = []
    for s in range(len(names)):
        for d in range(len(DIGITS)):
            wanted = {"speakers": {SPEAKERS[s]}, "digits": {DIGITS[d]}, "both": {SPEAKERS[s], DIGITS[d]}}[partition]
            sides.append(wanted.pop() if len(wanted) == 1 else "")
    return Pool(
        name=f"fsdd-{partition}",
        x=x,
        y=torch.from_numpy(speaker * len(DIGITS) + digit),
        classes=tuple(f"{name}/{d}" for name in names for d in range(len(DIGITS))),
        groups=tuple(f"digit {d}" if partition == "digits" else name for name in names for d in range(len(DIGITS))),
        split=tuple(sides),
    )


def fsdd_speakers(
    *, shots: int = 1, queries: int | None = 5, in_turn: bool = False, seed: int = 0, split: str = "train"
) -> ClassGroups:
    """A new speaker is a task: the ten digits, of which a few recordings in this voice are given.

    Args:
        shots: recordings of each digit.
        queries: recordings of each digit; None asks for all others.
        in_turn: every speaker equally often.
        seed: of the episodes.
        split: 'train' (3 speakers), 'validation' (1) or 'test' (2).

    Raises:
        MissingData: it is not on this machine.
        BadFile: the file is damaged.

    >>> fsdd_speakers().sample(0, 2).support.x.shape  # doctest: +SKIP
    torch.Size([2, 10, 1, 40, 64])
    """
    x, digit, speaker, _ = _read()
    return ClassGroups(
        "fsdd-speakers",
        x,
        torch.from_numpy(digit),
        torch.from_numpy(speaker),
        SPEAKERS,
        classes=tuple(map(str, range(len(DIGITS)))),
        shots=shots,
        queries=queries,
        in_turn=in_turn,
        seed=seed,
        split=split,
    )


def _read() -> tuple[torch.Tensor, np.ndarray, np.ndarray, list[str]]:
    """Spectra (N, 1, 40, 64), digits (N,), speakers (N,), and their names in the order of the alphabet."""
    (path,) = brought("fsdd")
    found = read_arrays(path, "logmel", "digit", "speaker", "speaker_name")
    names, place = np.unique(found["speaker_name"], return_inverse=True)
    return (
        torch.from_numpy(found["logmel"])[:, None],
        found["digit"].astype(np.int64),
        place[found["speaker"]].astype(np.int64),
        names.tolist(),
    )
