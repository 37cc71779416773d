"""Encoders by name, defaults, and rows that cannot be encoded."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.encoders import choice as module
from quickstudy.encoders.choice import CHOICES, encode, encoder_for
from quickstudy.encoders.images import Pixels
from quickstudy.encoders.molecules import Morgan
from quickstudy.encoders.text import HashedNGrams
from quickstudy.encoders.trained.by_name import Sentences, Timm
from quickstudy.errors import NotEnoughExamples, UnknownName, UserError
from quickstudy.tasks.own.rows import MODALITIES, Columns, Rows


def rows(modality: str, inputs: Any) -> Rows:
    labels = np.array([f"class {i % 2}" for i in range(len(inputs))])
    return Rows("mine", modality, inputs, labels, "classification", None)


TABLE = Columns(np.arange(6.0).reshape(6, 1), ("a",), np.zeros((6, 0), np.int32), (), ())


def test_every_modality_has_choices_that_exist() -> None:
    assert {choice.modality for choice in CHOICES} == set(MODALITIES)
    for choice in CHOICES:
        assert choice.maker.modality == choice.modality
        assert isinstance(choice.ready(), bool)


@pytest.mark.parametrize("ready", [True, False])
def test_the_default_is_the_best_that_is_ready(monkeypatch: pytest.MonkeyPatch, ready: bool) -> None:
    free = ("pixels", "hashed-n-grams", "table", "series")
    changed = tuple(dataclasses.replace(c, ready=lambda c=c: ready or c.name in free) for c in CHOICES)
    monkeypatch.setattr(module, "CHOICES", changed)
    found = {m: type(encoder_for(rows(m, TABLE if m == "features" else [np.ones((2, 1))]))) for m in MODALITIES}
    names = {m: next(c.name for c in changed if c.maker is made) for m, made in found.items()}
    expected = {"molecule": "morgan", "features": "table", "series": "series"}
    best = {"image": "mobilenet-v2", "text": "minilm"} if ready else {"image": "pixels", "text": "hashed-n-grams"}
    assert names == {**expected, **best}


def test_names_and_options() -> None:
    images, texts = rows("image", ["a.png"]), rows("text", ["a"])
    assert isinstance(encoder_for(images, "pixels", size=28, channels=1), Pixels)
    assert isinstance(encoder_for(texts, "hashed-n-grams"), HashedNGrams)
    assert isinstance(encoder_for(rows("molecule", ["C"]), "morgan", radius=3), Morgan)
    timm = encoder_for(images, "timm:resnet18")
    assert isinstance(timm, Timm) and timm.model == "resnet18"
    folder = encoder_for(texts, "sentences:C:/models/mine")
    assert isinstance(folder, Sentences) and folder.model == "C:/models/mine"


@pytest.mark.parametrize("name", ["mobilnet-v2", "timm:", "timm", "minilm", "pixels:28", ""])
def test_a_name_that_there_is_not(name: str) -> None:
    with pytest.raises(UnknownName, match="Known: mobilenet-v2, pixels, timm:MODEL"):
        encoder_for(rows("image", ["a.png"]), name)


def test_the_nearest_name_is_named() -> None:
    with pytest.raises(UnknownName, match=r"no encoder of image 'mobilnet'\. Did you mean 'mobilenet-v2'"):
        encoder_for(rows("image", ["a.png"]), "mobilnet")
    with pytest.raises(UnknownName, match=r"'pixels' called 'sise'\. Did you mean 'size'.* Known: channels, size"):
        encoder_for(rows("image", ["a.png"]), "pixels", sise=3)
    with pytest.raises(UnknownName, match="Known: form, most_categories, scaled"):
        encoder_for(rows("features", TABLE), columns=3)


def test_tables_are_scaled_by_the_rows_of_meta_train_or_not_at_all() -> None:
    table = rows("features", TABLE)
    plain: Any = encoder_for(table)
    assert not plain.numeric[0].scaled
    fitted: Any = encoder_for(table, train=np.array([0, 1, 2]))
    assert fitted.numeric[0].centre == 1.0
    assert fitted == encoder_for(table, "table", train=np.arange(6) < 3)
    assert not encoder_for(table, train=np.array([0]), scaled=False).numeric[0].scaled  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="None of the rows is in meta-train"):
        encoder_for(table, train=np.zeros(6, dtype=bool))
    same, x = encode(table, fitted)
    assert same is table
    assert x.shape == (6, 1)


def test_rows_that_cannot_be_encoded_are_left_out_and_listed(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        Image.new("L", (3, 3), 40 * i).save(path)
    paths[1].write_bytes(b"no picture")
    paths[3].write_bytes(b"no picture")
    found = rows("image", paths)
    left, x = encode(found, encoder_for(found, "pixels", size=3, channels=1))
    assert left.inputs == [paths[0], paths[2], paths[4]]
    assert x[:, 0, 0, 0].tolist() == [0, 80, 160]
    (dropped,) = left.dropped
    assert dropped.count == 2
    assert f"row 1 ({paths[1]}) cannot be read as a picture" in dropped.examples[0]
    assert f"row 3 ({paths[3]})" in dropped.examples[1]
    with pytest.raises(NotEnoughExamples, match="Nothing is left of 'mine'"):
        encode(rows("text", [" ", ""]), HashedNGrams())


def test_an_array_of_images_as_rows_hold_it() -> None:
    x = np.random.default_rng(0).random((4, 3, 6, 6), dtype=np.float32)
    found = rows("image", x)
    _, made = encode(found, Pixels(6))
    torch.testing.assert_close(made.float() / 255, torch.from_numpy(x), atol=0.003, rtol=0)
