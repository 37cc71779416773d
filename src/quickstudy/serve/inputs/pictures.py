"""Pictures from outside: a few formats, a limit on pixels, and what a bundle sees of them."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from ...bundle import Bundle
from ...errors import BadExamples
from ..problems import TooMuch

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what browsers make; readers of rarer formats are where holes are
LARGEST = 1_024  # pixels of a side that are kept: encoders look at 224 or fewer
THUMBNAIL = 128
DRAWN = ("glyphs", "omniglot")  # pools of drawings whose ink is 1, on paper that is 0
MARGIN = 0.18  # of a drawing, around its ink, as the glyphs have it


def shown(feature: tuple[int, ...]) -> bool:
    """Whether inputs of this shape are pictures: grey or in colour.

    >>> shown((1, 28, 28)), shown((64,)), shown((4, 31, 31))
    (True, False, False)
    """
    return len(feature) == 3 and feature[0] in (1, 3)


def drawn(bundle: Bundle) -> bool:
    """Whether a bundle has learned from drawings, light ink on dark paper, without an encoder."""
    return bundle.modality is None and bundle.feature[0] == 1 and bundle.recipe.get("source", {}).get("name") in DRAWN


def is_picture(given: bytes) -> bool:
    """Whether these are the bytes of a picture, and not JSON, which begins with one of these.

    >>> is_picture(b"[1, 2]"), is_picture(bytes([137]) + b"PNG")
    (False, True)
    """
    return given[:1] not in b'[{"-0123456789tfn'


def size(data: bytes, most: int) -> int:
    """Pixels of a picture, from its head alone.

    Raises:
        BadExamples: no picture.
        TooMuch: more than `most`.
    """
    with _opened(data) as image:
        width, height = image.size
    if width * height > most:
        raise TooMuch(f"has {width:,} x {height:,} pixels; at most {most:,} are read; make it smaller")
    return width * height


def picture(bundle: Bundle, data: bytes) -> np.ndarray:
    """What a bundle takes: (channels, height, width), numbers in its own shape or bytes for its encoder.

    Raises:
        BadExamples: it cannot be read.
    """
    if bundle.modality is not None:
        return np.asarray(_flat(data, "RGB")).transpose(2, 0, 1)
    channels, height, width = bundle.feature
    image = _flat(data, "L" if channels == 1 else "RGB")
    if drawn(bundle):
        image = _ink(image)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BOX)
    return (np.asarray(image, dtype=np.float32) / 255).reshape(height, width, channels).transpose(2, 0, 1)


def of_numbers(bundle: Bundle, values: np.ndarray) -> np.ndarray:
    """Numbers (channels, height, width), 0..1 for an encoder of pictures.

    Raises:
        BadExamples: numbers below 0 or above 1, which no picture has.
    """
    if bundle.modality is not None and (values.min() < 0 or values.max() > 1):
        raise BadExamples("holds numbers below 0 or above 1, which is no picture")
    return values


def thumbnail(given: bytes, encoded: np.ndarray) -> bytes:
    """A small PNG of a picture that was kept, or of the numbers (channels, height, width) that stand for it."""
    if is_picture(given):
        image = _flat(given, "RGB")
    else:
        values = np.clip(np.rint(encoded.transpose(1, 2, 0) * 255), 0, 255).astype(np.uint8)
        image = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()


def _opened(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, about large pictures: the limit is ours
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise TooMuch("has far too many pixels; make it smaller") from error
        except Exception as error:  # a damaged file makes Pillow fail in ways that it does not list
            raise BadExamples(f"is no picture that can be read ({', '.join(FORMATS)})") from error


def _flat(data: bytes, mode: str) -> Image.Image:
    """Upright, eight bits, nothing transparent, no larger than is of use."""
    with warnings.catch_warnings(), _opened(data) as image:
        warnings.simplefilter("ignore")
        try:
            image.draft(mode, (LARGEST, LARGEST))
            turned = ImageOps.exif_transpose(image)
            if turned.mode.startswith("I"):  # sixteen bits
                turned = Image.fromarray((np.asarray(turned).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
            if max(turned.size) > LARGEST:
                turned.thumbnail((LARGEST, LARGEST), reducing_gap=3.0)
            if turned.has_transparency_data:
                solid = turned.convert("RGBA")
                turned = Image.alpha_composite(Image.new("RGBA", solid.size, "white"), solid)
            return turned.convert(mode)
        except Exception as error:
            raise BadExamples("is a picture that is damaged; save it again as PNG") from error


def _ink(image: Image.Image) -> Image.Image:
    """A drawing with light ink on dark paper, cut to its ink: where it was drawn, and how large, does not matter."""
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    paper = float(np.median(border))
    ink = pixels.astype(np.float32) - paper if paper < 128 else paper - pixels.astype(np.float32)
    ink = np.clip(ink, 0, 255)
    top = float(ink.max())
    if top < 16:  # nothing is drawn
        return Image.fromarray(ink.astype(np.uint8))
    rows, columns = (np.flatnonzero((ink > top / 4).any(axis)) for axis in (1, 0))
    cut = Image.fromarray((ink * (255 / top)).astype(np.uint8)).crop(
        (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    )
    side = max(round(max(cut.size) * (1 + 2 * MARGIN)), 1)
    square = Image.new("L", (side, side))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    return square
