"""FS-Mol (Stanley et al. 2021, openreview.net/forum?id=701FtuyLlAd): every assay is a task, to measure molecules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..class_groups import ClassGroups
from ..groups import Groups
from ..pool import SPLITS
from .brought import brought
from .download import read_arrays


def fs_mol(*, shots: int = 16, queries: int = 16, seed: int = 0, split: str = "train") -> Groups:
    """Activities of molecules in assays, as logarithms; the published split of some 5,000 assays.

    An input is the fingerprint of a molecule, 2,048 of 0 or 1; a target is the logarithm that the assay reports.

    Args:
        shots: molecules that were measured in an assay (16 to 256 in the paper).
        queries: molecules to say the activity of.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        MissingData: the data is not on this machine.

    >>> fs_mol(shots=16).sample(0, 2).support.x.shape  # doctest: +SKIP
    torch.Size([2, 16, 2048])
    """
    tasks, assays, sides = _assays()
    values = tasks["log_value"].astype(np.float32)
    measured = np.isfinite(values)  # half a percent of the rows have a label and no value
    return Groups(
        "fs-mol",
        _fingerprints(tasks["mol_index"][measured]),
        torch.from_numpy(values[measured]).unsqueeze(1),
        torch.from_numpy(assays[measured]),
        sides,
        shots=shots,
        queries=queries,
        seed=seed,
        split=split,
    )


def fs_mol_active(
    *,
    shots: int = 8,
    queries: int | None = 8,
    in_turn: bool = False,
    seed: int = 0,
    split: str = "train",
) -> ClassGroups:
    """Whether a molecule is active in an assay: the classes of the paper, in the balance of each assay.

    Unlike `fs_mol` the answer is a class. The paper's protocol is a support set of 2 x shots molecules, stratified, and
    all others as queries: `fs_mol_active(shots=8, queries=None, in_turn=True).test` is that of 16, every assay in turn.
    Queries are then padded to the largest assay (3,594 molecules): take few tasks at a time.

    Args:
        shots: molecules of either class on average; 8 and 32 are the supports of 16 and 64.
        queries: the same; None asks for all others.
        in_turn: every assay equally often.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        MissingData: the data is not on this machine.

    >>> fs_mol_active().sample(0, 2).support.x.shape  # doctest: +SKIP
    torch.Size([2, 16, 2048])
    """
    tasks, assays, sides = _assays()
    return ClassGroups(
        "fs-mol-active",
        _fingerprints(tasks["mol_index"]),
        torch.from_numpy(tasks["label"].astype(np.int64)),
        torch.from_numpy(assays),
        sides,
        classes=("inactive", "active"),
        balance="natural",
        shots=shots,
        queries=queries,
        in_turn=in_turn,
        seed=seed,
        split=split,
    )


def _assays() -> tuple[dict[str, np.ndarray], np.ndarray, tuple[str, ...]]:
    """The arrays of the file, the assay of each of its rows, and the side of each assay."""
    tasks = read_arrays(brought("fs-mol")[0], "task_split", "task_offset", "mol_index", "label", "log_value")
    assays = np.repeat(np.arange(len(tasks["task_split"])), np.diff(tasks["task_offset"]))
    return tasks, assays, tuple(SPLITS[side] for side in tasks["task_split"].tolist())


def _fingerprints(molecule: np.ndarray) -> Callable[[Tensor], Tensor]:
    """Row numbers -> (rows, 2048) of 0 and 1."""
    bits = read_arrays(brought("fs-mol")[1], "fp_packed_T")["fp_packed_T"]
    packed, molecules = torch.from_numpy(np.ascontiguousarray(bits.T)), torch.from_numpy(molecule.astype(np.int64))
    places = torch.arange(7, -1, -1, dtype=torch.uint8)

    def of(rows: Tensor) -> Tensor:
        # Kept as bits: as floats they would take 2 GB.
        return ((packed[molecules[rows]].unsqueeze(-1) >> places) & 1).flatten(1).float()

    return of
