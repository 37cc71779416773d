"""Pictures of any size and mode as pixels of one size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError
from ..tasks.images import Unreadable, check_size, flat, in_bytes, picture
from .protocol import BadInputs

LEVELS = {"|u1": 255, "<u2": 65535, ">u2": 65535}  # types whose largest number is white


class Pixels:
    """Pictures of any size and mode as (n, channels, size, size) bytes, for a network that is trained on them.

    The whole picture is kept, squeezed where it is not square. It is turned as its EXIF data says; what is transparent
    lies on white; of an animation the first frame is read.

    Args:
        size: height and width in pixels: 28 for drawings; 84, for photographs, takes seven times as long as 32.
        channels: 1 for grey, 3 for colour.

    >>> Pixels(2, channels=1)([np.full((1, 4, 4), 7, dtype=np.uint8)]).flatten().tolist()
    [7, 7, 7, 7]
    """

    modality = "image"

    def __init__(self, size: int = 32, *, channels: Literal[1, 3] = 3):
        if size < 1 or channels not in (1, 3):
            raise UserError(f"Pixels need a size of 1 or more and 1 or 3 channels, not {size} and {channels}.")
        self.size, self.channels = size, channels
        self.identity = f"pixels 1 size={size} channels={channels}"
        self.feature = (channels, size, size)

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """(n, channels, size, size) bytes.

        Args:
            inputs: files, or arrays (channels, height, width) of 1, 3 or 4 channels: uint8, uint16, or 0..1 of bool or
                a floating type.

        Raises:
            BadInputs: pictures that cannot be read.
        """
        made = np.empty((len(inputs), self.size, self.size, self.channels), dtype=np.uint8)
        problems = {}

        def read(row: int) -> None:
            try:
                made[row] = np.asarray(_picture(inputs[row], self.size, self.channels)).reshape(made.shape[1:])
            except Unreadable as error:
                problems[row] = str(error)

        # Pillow lets other threads run while it unpacks and resizes; there are as many as the user lets torch have.
        with warnings.catch_warnings(), ThreadPoolExecutor(torch.get_num_threads()) as threads:
            warnings.simplefilter("ignore")  # of Pillow, about damage that is none, or that is an error below
            list(threads.map(read, range(len(inputs))))
        if problems:
            raise BadInputs(problems, "Leave such pictures out, or save them again as PNG.")
        return torch.from_numpy(made).permute(0, 3, 1, 2).contiguous()


def _picture(source: Any, size: int, channels: int) -> Image.Image:
    mode = "L" if channels == 1 else "RGB"
    if isinstance(source, str | Path):  # a JPEG is exact enough at twice our size
        return _resized(picture(source, mode, 2 * size), size)
    return _resized(flat(_from_array(np.asarray(source)), mode), size)


def _resized(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    # Pillow's filters widen with the factor, so nothing is skipped; the gap has it shrink huge pictures by boxes first.
    return image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _from_array(values: np.ndarray) -> Image.Image:
    white = LEVELS.get(values.dtype.str, 1 if values.dtype.kind in "bf" else 0)
    if not white or values.ndim != 3 or len(values) not in (1, 3, 4) or values.size == 0:
        raise Unreadable(
            f"is {values.shape} of {values.dtype}; a picture is (channels, height, width), with 1, 3 or 4 channels of"
            " uint8, uint16, bool or a floating type"
        )
    check_size(values.shape[2], values.shape[1])
    pixels = np.ascontiguousarray(in_bytes(values, white).transpose(1, 2, 0))
    return Image.fromarray(pixels[..., 0] if len(values) == 1 else pixels)
