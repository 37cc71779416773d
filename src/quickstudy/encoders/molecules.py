"""Molecules as fingerprints (Morgan 1965; Rogers and Hahn 2010, doi:10.1021/ci100050t)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..extras import brought_in
from .protocol import BadInputs

LONGEST = 10_000  # characters of a SMILES string


class Morgan:
    """Which surroundings of atoms a molecule has, each hashed to one of `bits` places; from SMILES, by rdkit.

    Fingerprints that are there already are columns of a table, and `Table` leaves columns of 0 and 1 as they are.

    Args:
        radius: bonds that a surrounding reaches to; 2 is what others call ECFP4.
        bits: length of a fingerprint.
    """

    modality = "molecule"

    def __init__(self, radius: int = 2, *, bits: int = 2048):
        if radius < 0 or bits < 1:
            raise UserError(f"Fingerprints have a radius of 0 or more and 1 or more bits, not {radius} and {bits}.")
        self.radius, self.bits = radius, bits
        self.feature = (bits,)

    @functools.cached_property
    def identity(self) -> str:
        return f"morgan 1 radius={self.radius} bits={self.bits} rdkit={self._part('rdBase').rdkitVersion}"

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, bits) bytes, 0 or 255: sources scale bytes to 0..1, and as floats they would take four times the room.

        Raises:
            BadInputs: strings that are no molecule.
            UserError: rdkit is not installed.
        """
        read, block = self._part("Chem").MolFromSmiles, self._part("rdBase").BlockLogs()
        generator = self._part("Chem.rdFingerprintGenerator").GetMorganGenerator(radius=self.radius, fpSize=self.bits)
        made = np.zeros((len(inputs), self.bits), dtype=np.uint8)
        problems = {}
        for row, smiles in enumerate(inputs):
            text = isinstance(smiles, str) and 0 < len(smiles.strip()) <= LONGEST
            molecule = read(smiles.strip()) if text else None
            if molecule is None or not molecule.GetNumAtoms():
                problems[row] = f"is {smiles!r:.60}, which is no molecule in SMILES"
            else:
                made[row] = 255 * generator.GetFingerprintAsNumPy(molecule)
        del block  # from here on rdkit writes its complaints again
        if problems:
            raise BadInputs(problems, "Leave such rows out.")
        return torch.from_numpy(made)

    def _part(self, module: str) -> Any:
        return brought_in(f"rdkit.{module}", "A fingerprint of a molecule", "molecules")
