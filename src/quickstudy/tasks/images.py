"""Images from folders: class/image for examples, a flat folder (or one file) for questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import BadExamples, MissingData

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_image(path: Path, feature: tuple[int, ...]) -> Tensor:
    """One image as (channels, height, width) in 0..1, in the shape that a learner was trained on.

    Raises:
        BadExamples: not an image that Pillow reads.
    """
    channels, height, width = feature
    try:
        with Image.open(path) as image:
            turned = ImageOps.exif_transpose(image).convert("L" if channels == 1 else "RGB")
            if turned.size != (width, height):
                turned = turned.resize((width, height), Image.Resampling.BOX)
            pixels = np.asarray(turned, dtype=np.float32) / 255
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise BadExamples(f"{path} cannot be read as an image: {error}. Remove it, or save it again as PNG.") from error
    return torch.from_numpy(pixels.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def read_support(folder: Path, feature: tuple[int, ...]) -> tuple[Tensor, list[str]]:
    """(n, *feature) images and their class names, from a folder of folders: class/image.

    Raises:
        MissingData: no such folder, or no class folders with images in it.
    """
    if not folder.is_dir():
        raise MissingData(f"There is no folder {folder}; give one with a folder for each class and images in it.")
    found = [(image, kind.name) for kind in sorted(folder.iterdir()) if kind.is_dir() for image in _images(kind)]
    if not found:
        raise MissingData(f"{folder} holds no CLASS/IMAGE files ({', '.join(SUFFIXES)}); make a folder for each class.")
    return torch.stack([read_image(path, feature) for path, _ in found]), [name for _, name in found]


def read_queries(path: Path, feature: tuple[int, ...]) -> tuple[Tensor, list[str]]:
    """(q, *feature) images and their file names, from a folder or one file.

    Raises:
        MissingData: nothing there.
    """
    if not path.exists():
        raise MissingData(f"There is nothing at {path}; give an image or a folder of images.")
    paths = _images(path) if path.is_dir() else [path]
    if not paths:
        raise MissingData(f"{path} holds no images ({', '.join(SUFFIXES)}).")
    return torch.stack([read_image(p, feature) for p in paths]), [p.name for p in paths]


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
