"""Encoders survive being written into a bundle."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import numpy as np
import pytest
import tomli_w

from quickstudy.encoders.images import Pixels
from quickstudy.encoders.protocol import Encoder
from quickstudy.encoders.series import Series
from quickstudy.encoders.tables import Table
from quickstudy.encoders.text import HashedNGrams
from quickstudy.encoders.written import read_encoder, write_encoder
from quickstudy.errors import BadFile, UnknownName
from quickstudy.tasks.own.rows import Columns

COLUMNS = Columns(
    np.array([[1.0], [np.nan], [1 / 3]]), ("age",), np.array([[0], [-1], [1]], np.int32), ("hue",), (("blue", "red"),)
)
SERIES = [np.array([[0.0], [1.0]]), np.array([[1e-9]])]
CASES: dict[str, tuple[Encoder, Any]] = {
    "pixels": (Pixels(4, channels=1), [np.full((1, 8, 8), 7, np.uint8)]),
    "text": (HashedNGrams(16, words=1, characters=(2, 3)), ["a few words"]),
    "table": (Table.fit(COLUMNS), COLUMNS),
    "table as a set": (Table.fit(COLUMNS, form="columns", scaled=False), COLUMNS),
    "series": (Series.fit(SERIES, length=3), SERIES),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_read_back_encodes_alike(name: str) -> None:
    encoder, inputs = CASES[name]
    table = write_encoder(encoder)
    through_files = json.loads(json.dumps(tomllib.loads(tomli_w.dumps(table))))
    again = read_encoder(through_files)
    assert again.identity == encoder.identity and again.feature == encoder.feature
    assert again(inputs).equal(encoder(inputs))


def test_damage_and_other_weights_are_said() -> None:
    table = write_encoder(HashedNGrams(16))
    with pytest.raises(UnknownName, match="hashed-n-grams"):
        read_encoder(table | {"name": "hashed-ngrams"})
    with pytest.raises(BadFile, match="other features here"):
        read_encoder(table | {"width": 17})
    with pytest.raises(BadFile, match="damaged"):
        read_encoder({"name": "table", "identity": "", "numeric": 3})
    with pytest.raises(BadFile, match="damaged"):
        read_encoder({"name": "hashed-n-grams"})
