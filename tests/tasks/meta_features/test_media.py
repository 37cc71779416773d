"""Data about data: texts, images and files described by numbers that can be worked out by hand."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quickstudy.errors import BadExamples, BadFile
from quickstudy.tasks.meta_features.media import LOOKED_AT, describe_files, describe_images, describe_texts


def test_texts() -> None:
    found = describe_texts(["One two", "TWO 22!", "", "One two", "прив"])
    assert found["log_texts"] == math.log(5) and found["words_most"] == 2
    assert found["words_mean"] == pytest.approx(7 / 5)
    assert found["vocabulary"] == pytest.approx(4 / 7)  # one, two, 22!, прив
    assert [found["share_empty"], found["share_repeated"]] == pytest.approx([0.2, 0.2])
    assert found["share_digits"] == pytest.approx(2 / 25) and found["share_symbols"] == pytest.approx(1 / 25)
    assert found["share_upper"] == pytest.approx(5 / 25) and found["share_beyond_ascii"] == pytest.approx(4 / 25)


def test_texts_without_a_word() -> None:
    assert math.isnan(describe_texts(["", " "])["vocabulary"])


def test_many_texts_are_sampled_always_alike() -> None:
    texts = [f"text {'word ' * (i % 7)}" for i in range(5 * LOOKED_AT)]
    found = describe_texts(texts)
    assert found == describe_texts(texts)
    assert found["log_texts"] == math.log(len(texts)) and found["words_mean"] == pytest.approx(4, abs=0.6)


def test_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, size=(40, 80, 3)).astype(np.uint8)
    Image.fromarray(sharp).save(tmp_path / "sharp.png")
    by_path, by_array = describe_images([tmp_path / "sharp.png"]), describe_images([sharp])
    assert by_path == pytest.approx(by_array)
    assert by_path["log_pixels_mean"] == pytest.approx(math.log(3200))
    assert by_path["aspect_mean"] == pytest.approx(math.log(2)) and by_path["share_colour"] == 1
    assert by_path["brightness_mean"] == pytest.approx(sharp.mean() / 255)
    blurred = np.asarray(Image.fromarray(sharp).resize((10, 5)).resize((80, 40)))
    assert describe_images([blurred])["sharpness_mean"] < by_path["sharpness_mean"] - 2
    framed = np.full((40, 40), 255.0)
    framed[10:30, 10:30] = 0
    assert describe_images([framed])["edges_mean"] == pytest.approx(1.0)


@pytest.mark.parametrize("image", [np.zeros((1, 1)), np.zeros((2, 500)), np.zeros((600, 700, 4)), np.zeros((3, 3, 1))])
def test_images_of_any_size(image: np.ndarray) -> None:
    found = describe_images([image])
    assert found["share_colour"] == 0 and found["log_pixels_mean"] == math.log(image.shape[0] * image.shape[1])


def test_files(tmp_path: Path) -> None:
    for name, size, day in (("a.png", 10, 0), ("b.PNG", 1000, 2), ("c.txt", 0, 4)):
        (tmp_path / name).write_bytes(b"x" * size)
        os.utime(tmp_path / name, (86400 * day, 86400 * day))
    found = describe_files([tmp_path / name for name in ("a.png", "b.PNG", "c.txt")])
    assert found["kinds"] == 2 and found["share_commonest_kind"] == pytest.approx(2 / 3) and found["folders"] == 1
    assert found["days_span"] == 4 and found["days_sd"] == pytest.approx(math.sqrt(8 / 3))
    assert found["log_bytes_mean"] == pytest.approx((math.log(11) + math.log(1001)) / 3)


def test_bad_input(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no image")
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (describe_texts, [], BadExamples, "no texts"),
        (describe_images, [], BadExamples, "no images"),
        (describe_files, [], BadExamples, "no files"),
        (describe_images, [np.zeros(3)], BadExamples, r"\(3,\)"),
        (describe_images, [tmp_path / "no.png"], BadFile, "no.png"),
        (describe_files, [tmp_path / "gone"], BadFile, "gone"),
    ]
    for function, given, error, said in cases:
        with pytest.raises(error, match=said):
            function(given)
