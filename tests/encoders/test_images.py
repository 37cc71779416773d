"""Pictures of any size and mode as pixels, and what is said of those that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.encoders.images import Pixels
from quickstudy.encoders.protocol import BadInputs
from quickstudy.errors import UserError


def saved(path: Path, array: Any, **options: Any) -> Path:
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


def test_a_picture_of_the_right_size_is_left_as_it_is(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    x = Pixels(5)([saved(tmp_path / "a.png", array), array.transpose(2, 0, 1)])
    assert x.dtype == torch.uint8
    assert x.shape == (2, *Pixels(5).feature)
    for one in x:
        assert np.array_equal(one.permute(1, 2, 0).numpy(), array)


def test_each_row_depends_on_its_input_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [saved(tmp_path / f"{i}.png", rng.integers(0, 256, (9 + i, 7), dtype=np.uint8)) for i in range(5)]
    together = Pixels(4, channels=1)(paths)
    for i, path in enumerate(paths):
        assert torch.equal(Pixels(4, channels=1)([str(path)])[0], together[i])


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_read(tmp_path: Path, mode: str) -> None:
    white = np.full((6, 4), 255, dtype=np.uint8)
    if mode in ("I;16", "I"):
        picture = Image.fromarray(np.full((6, 4), 65535, dtype=np.uint16 if mode == "I;16" else np.int32))
    elif mode == "F":
        picture = Image.fromarray(np.ones((6, 4), dtype=np.float32))
    else:
        picture = Image.fromarray(white).convert(mode)
    assert picture.mode == mode
    picture.save(tmp_path / "a.tiff")
    for channels in (1, 3):
        assert Pixels(3, channels=channels)([tmp_path / "a.tiff"]).min() >= 250


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    clear[:2, ..., 3] = 255
    x = Pixels(4, channels=1)([saved(tmp_path / "a.png", clear), clear.transpose(2, 0, 1)])
    assert x[:, 0, :, 0].tolist() == [[0, 0, 255, 255]] * 2


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    array = np.zeros((8, 8), dtype=np.uint8)
    array[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned to the right by a quarter
    x = Pixels(8, channels=1)([saved(tmp_path / "a.png", array, exif=exif)])
    assert x[0, 0, 0].min() == 255
    assert x[0, 0, 7].max() == 0


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (200, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert Pixels(4, channels=1)([tmp_path / "a.gif"]).unique().tolist() == [200]


def test_shrinking_skips_nothing() -> None:
    board = np.indices((256, 256)).sum(0) % 2 * np.uint8(255)
    x = Pixels(8, channels=1)([board.astype(np.uint8)[None]])
    assert x.float().sub(127.5).abs().max() < 3


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.ones((1, 2, 2), dtype=bool), 255),
        (np.full((1, 2, 2), 0.2, dtype=np.float32), 51),
        (np.full((1, 2, 2), 257 * 51, dtype=np.uint16), 51),
        (np.full((1, 2, 2), 257 * 51, dtype=">u2"), 51),
        (torch.full((3, 2, 2), 51, dtype=torch.uint8), 51),
        (np.full((1, 2, 2), 1, dtype=np.uint8), 1),  # decided by the type, not by the largest number
    ],
)
def test_types_of_arrays(array: Any, expected: int) -> None:
    assert Pixels(2, channels=1)([array]).unique().tolist() == [expected]


def test_bad_pictures_are_all_named(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.png", np.zeros((4, 4), dtype=np.uint8))
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(content, "PNG")
    (tmp_path / "cut.png").write_bytes(content.getvalue()[:2000])
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    named = [tmp_path / name for name in ("empty.png", "text.png", "cut.png", "a.eps", "nowhere.png")]
    arrays = [
        np.zeros((4, 4)),
        np.full((1, 2, 2), np.nan),
        np.full((1, 2, 2), 7.0),
        np.zeros((1, 2, 2), dtype=np.int64),
    ]
    with pytest.raises(BadInputs) as caught:
        Pixels(4)([good, *named, *arrays])
    problems = caught.value.problems
    assert sorted(problems) == list(range(1, 10))
    assert all("cannot be read as a picture" in problems[row] for row in range(1, 6))
    assert "No such file" in problems[5]
    assert "(channels, height, width)" in problems[6]
    assert "nan" in problems[7]
    assert "from 7 to 7; its type, float64, is read as 0..1" in problems[8]
    assert "int64" in problems[9]
    assert "and 4 more" in str(caught.value)


def test_pictures_with_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", np.zeros((40, 50), dtype=np.uint8))
    monkeypatch.setattr("quickstudy.tasks.images.MOST_PIXELS", 1999)
    with pytest.raises(BadInputs, match="has 50 x 40 pixels; at most 1,999 are read"):
        Pixels(4)([path])
    with pytest.raises(BadInputs, match="has 50 x 40 pixels"):
        Pixels(4)([np.zeros((1, 40, 50), dtype=np.uint8)])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    with pytest.raises(BadInputs, match="too many pixels"):
        Pixels(4)([path])


@pytest.mark.parametrize(("size", "channels"), [(0, 3), (4, 2)])
def test_arguments(size: int, channels: Any) -> None:
    with pytest.raises(UserError, match="1 or 3 channels"):
        Pixels(size, channels=channels)
