"""Pictures in files, opened in one way: turned as their EXIF data says, in eight bits, on white, never too large."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import BadExamples

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MOST_PIXELS = 100_000_000  # of one image: 300 MB when it is decoded
# Formats that are run by another program, or that Pillow knows by name alone.
NOT_READ = {"EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR", "PDF"}


class Unreadable(Exception):
    """Why a picture cannot be read, as the end of a sentence that begins with its name."""


def picture(path: str | Path, mode: str, near: int | None = None) -> Image.Image:
    """A picture of a file; of an animation the first frame.

    Args:
        path: of the file.
        mode: 'L' for grey, 'RGB' for colour.
        near: sides of this many pixels are enough, which spares work with large files; it may still have more.

    Raises:
        Unreadable: what is no picture, or a damaged or too large one.
    """
    try:
        with Image.open(path, formats=_formats()) as image:
            check_size(image.width, image.height)
            if near is not None:  # a JPEG can be unpacked at half, a quarter or an eighth of its size
                image.draft(mode, (near, near))
            return flat(ImageOps.exif_transpose(image), mode)
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable(f"has too many pixels; at most {MOST_PIXELS:,} are read") from error
    except OSError as error:
        raise Unreadable(f"cannot be read as a picture: {error.strerror or error}") from error
    except Exception as error:  # a damaged file makes Pillow's readers fail in ways that it does not list
        raise Unreadable(f"cannot be read as a picture: {type(error).__name__}: {error}") from error


def read_image(path: Path, feature: tuple[int, ...]) -> Tensor:
    """One image as (channels, height, width) in 0..1, in the shape that a learner was trained on.

    Raises:
        BadExamples: not an image that can be read.
    """
    channels, height, width = feature
    try:
        image = picture(path, "L" if channels == 1 else "RGB")
    except Unreadable as error:
        raise BadExamples(f"{path} {error}. Remove it, or save it again as PNG.") from error
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BOX)
    pixels = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(pixels.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_READ))


def check_size(width: int, height: int) -> None:
    """Stop at a picture that is too large to be unpacked.

    Raises:
        Unreadable: it has more than `MOST_PIXELS`.
    """
    if width * height > MOST_PIXELS:
        raise Unreadable(f"has {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} are read")


def flat(image: Image.Image, mode: str) -> Image.Image:
    """The picture in eight bits, with nothing transparent, in the wanted colours."""
    if image.mode.startswith("I"):  # sixteen bits, which Pillow keeps in sixteen or thirty-two
        image = Image.fromarray(in_bytes(np.asarray(image), 65535))
    elif image.mode == "F":
        image = Image.fromarray(in_bytes(np.asarray(image), 1))
    if image.has_transparency_data:
        solid = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid)
    return image if image.mode == mode else image.convert(mode)


def in_bytes(values: np.ndarray, white: int) -> np.ndarray:
    """Numbers from 0 to `white` as 0..255.

    Raises:
        Unreadable: some are beyond.
    """
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= white):  # NaN too
        raise Unreadable(f"holds numbers from {low:g} to {high:g}; its type, {values.dtype}, is read as 0..{white:,}")
    return np.rint(values * (255 / white)).astype(np.uint8)
