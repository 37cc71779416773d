"""Pictures inside a page: thumbnails of images, and series as small lines."""

from __future__ import annotations

import base64
import io
import warnings
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

SIDE = 96  # pixels of a thumbnail
SMALL = 48  # pixels of a side up to which an image is kept exactly
SHOWN = 56  # pixels of a picture on the page
CHANNELS = 4  # lines of a series
POINTS = 120  # of a line


def of_tensor(x: Tensor, alt: str, *, ink: bool = False) -> str:
    """HTML of a (channels, height, width) image, in 0..1 or bytes.

    Args:
        x: the image; of more than three channels the first three are shown, of two the first.
        alt: what it is.
        ink: it has one channel of ink, which is shown dark on light, as it was drawn.
    """
    numbers = x.detach().cpu()
    bytes_ = numbers if not numbers.is_floating_point() else (numbers.clamp(0, 1) * 255).round().byte()
    pixels = bytes_.permute(1, 2, 0).numpy()
    if pixels.shape[2] < 3:
        return _html(Image.fromarray(255 - pixels[:, :, 0] if ink else np.ascontiguousarray(pixels[:, :, 0])), alt)
    return _html(Image.fromarray(np.ascontiguousarray(pixels[:, :, :3])), alt)


def of_file(path: Path, alt: str) -> str:
    """HTML of an image file; its name, where it cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about damage
            with Image.open(path) as image:
                image.draft("RGB", (2 * SIDE, 2 * SIDE))
                return _html(ImageOps.exif_transpose(image).convert("RGB"), alt)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return f"<small>{escape(path.name)}</small>"


def _html(image: Image.Image, alt: str) -> str:
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE))
    photo = image.mode == "RGB" and max(image.size) > SMALL
    file = io.BytesIO()
    if photo:
        image.save(file, format="JPEG", quality=80)
    else:
        image.save(file, format="PNG", optimize=True)
    url = f"data:image/{'jpeg' if photo else 'png'};base64,{base64.b64encode(file.getvalue()).decode()}"
    kind = ' class="pixels"' if max(image.size) < SHOWN else ""
    return f'<img{kind} src="{url}" alt="{escape(alt)}" width="{SHOWN}" height="{SHOWN}">'


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
