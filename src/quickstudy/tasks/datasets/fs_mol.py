"""FS-Mol (Stanley et al. 2021, openreview.net/forum?id=701FtuyLlAd): every assay is a task, to measure molecules."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...errors import MissingData
from ..groups import Groups
from ..pool import SPLITS
from .named import data_folder

FOLDER = "molecules/fsmol"
FILES = ("fsmol_tasks.npz", "fsmol_fingerprints.npz")


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
    own = data_folder()
    folder = None if own is None else own / FOLDER
    lacking = [name for name in FILES if folder is None or not (folder / name).is_file()]
    if folder is None or lacking:
        raise MissingData(
            f"FS-Mol needs {lacking[0]} in {folder or FOLDER}; set QUICKSTUDY_DATA to the folder that holds {FOLDER}."
            " Its source is github.com/microsoft/FS-Mol."
        )
    with np.load(folder / FILES[0], allow_pickle=False) as file:
        sides, values = file["task_split"], file["log_value"].astype(np.float32)
        assays = np.repeat(np.arange(len(sides)), np.diff(file["task_offset"]))
        molecules = torch.from_numpy(file["mol_index"].astype(np.int64))
    measured = np.isfinite(values)  # half a percent of the rows have a label and no value
    assays, values, molecules = assays[measured], values[measured], molecules[torch.from_numpy(measured)]
    with np.load(folder / FILES[1], allow_pickle=False) as file:
        packed = torch.from_numpy(np.ascontiguousarray(file["fp_packed_T"].T))
    places = torch.arange(7, -1, -1, dtype=torch.uint8)

    def fingerprints(rows: Tensor) -> Tensor:
        # Kept as bits: as floats they would take 2 GB.
        return ((packed[molecules[rows]].unsqueeze(-1) >> places) & 1).flatten(1).float()

    return Groups(
        "fs-mol",
        fingerprints,
        torch.from_numpy(values).unsqueeze(1),
        torch.from_numpy(assays),
        tuple(SPLITS[side] for side in sides.tolist()),
        shots=shots,
        queries=queries,
        seed=seed,
        split=split,
    )
