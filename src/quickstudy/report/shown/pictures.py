"""Pictures inside a page: thumbnails of images, and series as small lines."""

from __future__ import annotations

import base64
import io
import warnings
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ...tasks.images import Unreadable, picture

SIDE, SHOWN = 96, 56  # pixels of a thumbnail: of its file, and on the page
LARGE = 3  # times as large is one that stands alone
SMALL = 48  # pixels of a side up to which an image is kept exactly
WARM, COLD = (214, 96, 0), (30, 90, 200)  # what speaks for an answer, and against it
OPAQUE = 0.7  # of what counts most
COARSE = 56  # pixels of a side of what lies over an image
CHANNELS = 4  # lines of a series
POINTS = 120  # of a line


def of_tensor(x: Tensor, alt: str, *, ink: bool = False, large: bool = False) -> str:
    """HTML of a (channels, height, width) image, in 0..1 or bytes.

    Args:
        x: the image; of more than three channels the first three are shown, of two the first.
        alt: what it is.
        ink: it has one channel of ink, which is shown dark on light, as it was drawn.
        large: it stands alone.
    """
    numbers = x.detach().cpu()
    bytes_ = numbers if not numbers.is_floating_point() else (numbers.clamp(0, 1) * 255).round().byte()
    pixels = bytes_.permute(1, 2, 0).numpy()
    if pixels.shape[2] < 3:
        grey = 255 - pixels[:, :, 0] if ink else np.ascontiguousarray(pixels[:, :, 0])
        return _html(Image.fromarray(grey), alt, large)
    return _html(Image.fromarray(np.ascontiguousarray(pixels[:, :, :3])), alt, large)


def of_file(path: Path, alt: str, *, large: bool = False) -> str:
    """HTML of an image file; its name, where it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about damage
            return _html(picture(path, "RGB", 2 * SIDE * (LARGE if large else 1)), alt, large)
    except Unreadable:
        return f"<small>{escape(path.name)}</small>"


def _html(image: Image.Image, alt: str, large: bool) -> str:
    side, shown = (LARGE * SIDE, LARGE * SHOWN) if large else (SIDE, SHOWN)
    if max(image.size) > side:
        image.thumbnail((side, side))
    photo = image.mode == "RGB" and max(image.size) > SMALL
    kind = ' class="pixels"' if max(image.size) < shown else ""
    size = f'width="{shown}" height="{shown}"'
    if large:  # a square would not lie exactly below its heat
        width, height = image.size
        size = f'width="{shown * width // max(image.size)}" height="{shown * height // max(image.size)}"'
    return f'<img{kind} src="{_url(image, photo)}" alt="{escape(alt)}" {size}>'


def _url(image: Image.Image, photo: bool = False) -> str:
    file = io.BytesIO()
    if photo:
        image.save(file, format="JPEG", quality=80)
    else:
        image.save(file, format="PNG", optimize=True)
    return f"data:image/{'jpeg' if photo else 'png'};base64,{base64.b64encode(file.getvalue()).decode()}"


def under_heat(picture: str, loss: Tensor | None) -> str:
    """HTML of a picture: warm where much of an answer is lost without a place, cold where the answer gains.

    Args:
        picture: HTML of it.
        loss: (height, width); None where it is not known.
    """
    if loss is None:
        return picture
    values = np.nan_to_num(loss.numpy())
    pixels = np.empty((*values.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((values > 0)[..., None], WARM, COLD)
    pixels[..., 3] = np.rint(255 * OPAQUE * np.abs(values) / max(float(np.abs(values).max()), 1e-9))
    image = Image.fromarray(pixels)
    image.thumbnail((COARSE, COARSE))
    return f'<span class="under">{picture}<img class="heat" src="{_url(image)}" alt="what counted in it"></span>'


def of_series(values: np.ndarray, alt: str) -> str:
    """HTML of a series (length, channels): a line for each channel on a scale of its own, with gaps.

    >>> of_series(np.array([[0.0], [np.nan], [1.0]]), "beat").count("M")
    2
    """
    lines = []
    for number, channel in enumerate(values.T[:CHANNELS]):
        known = np.isfinite(channel)
        if not known.any():
            continue
        low, high = channel[known].min(), channel[known].max()
        step = max(1, len(channel) // POINTS)
        path, pen = "", "M"
        for i in range(0, len(channel), step):
            if not known[i]:
                pen = "M"
                continue
            up = (channel[i] - low) / (high - low) if high > low else 0.5
            path += f"{pen}{120 * i / max(1, len(channel) - 1):.1f} {37 - 34 * up:.1f}"
            pen = "L"
        lines.append(f'<path class="c{number}" d="{path}"/>')
    return f'<svg class="spark" viewBox="0 0 120 40" role="img" aria-label="{escape(alt)}">{"".join(lines)}</svg>'
