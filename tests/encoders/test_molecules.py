"""Fingerprints of molecules."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from quickstudy.encoders.cache.encoded import encoded
from quickstudy.encoders.molecules import Morgan
from quickstudy.encoders.protocol import BadInputs
from quickstudy.errors import UserError

ASPIRIN, SAME, SALICYLIC, HEXANE = "CC(=O)Oc1ccccc1C(=O)O", "O=C(O)c1ccccc1OC(C)=O", "O=C(O)c1ccccc1O", "CCCCCC"


def test_a_fingerprint_is_that_of_rdkit_however_the_molecule_is_written() -> None:
    pytest.importorskip("rdkit")
    from rdkit import Chem, DataStructs
    from rdkit.Chem import AllChem

    encoder = Morgan()
    x = encoded(encoder, [ASPIRIN, SAME, f" {SALICYLIC}\n", HEXANE])
    assert x.shape == (4, *encoder.feature) and x.dtype == torch.uint8
    assert set(x.unique().tolist()) == {0, 255}  # 0 and 1, as sources scale bytes
    assert torch.equal(x[0], x[1])
    bits = [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(s), 2, 2048) for s in (ASPIRIN, SALICYLIC)]
    assert [i for i, bit in enumerate(x[0].tolist()) if bit] == list(bits[0].GetOnBits())
    shared = float(((x[0] > 0) & (x[2] > 0)).sum() / ((x[0] > 0) | (x[2] > 0)).sum())
    assert shared == pytest.approx(DataStructs.TanimotoSimilarity(*bits))


def test_strings_that_are_no_molecule_are_all_named_and_rdkit_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rdkit")
    with pytest.raises(BadInputs, match="Row 1 is 'C1CC', which is no molecule in SMILES; row 2 is ''") as caught:
        Morgan()([ASPIRIN, "C1CC", "", 5, "c1ccc1(", "C" * 10_001])
    assert sorted(caught.value.problems) == [1, 2, 3, 4, 5]
    assert capfd.readouterr().err == ""


def test_options_are_part_of_the_identity() -> None:
    pytest.importorskip("rdkit")
    assert len({Morgan().identity, Morgan(3).identity, Morgan(bits=1024).identity}) == 3
    assert Morgan(bits=64)([HEXANE]).shape == (1, 64)


def test_without_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in [name for name in sys.modules if name.startswith("rdkit.")]:
        monkeypatch.delitem(sys.modules, part)
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(UserError, match=r"needs rdkit, which is not here: pip install 'quickstudy\[molecules\]'"):
        Morgan()([HEXANE])


@pytest.mark.parametrize("options", [{"radius": -1}, {"bits": 0}])
def test_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="1 or more bits"):
        Morgan(**options)
