"""What a bundle is given: numbers as its learner takes them, or raw inputs, which its encoder makes numbers of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..encoders.protocol import Encoder
from ..encoders.written import read_encoder
from ..errors import BadExamples, BadFile, UserError
from ..tasks.own.rows import Columns

READS = {
    "image": "a list of images (files, or arrays of (channels, height, width))",
    "text": "a list of texts",
    "molecule": "a list of molecules in SMILES",
    "features": "a quickstudy.tasks.own.rows.Columns",
    "series": "a list of series, (length, channels) each",
}


def encoder_of(table: Mapping[str, Any], feature: tuple[int, ...]) -> Encoder:
    """The encoder that a bundle speaks of.

    Raises:
        BadFile: the table is damaged, or it makes other features here.
        UserError: what it needs is not on this machine.
    """
    if not isinstance(table, Mapping):
        raise BadFile("The encoder of this bundle is no table; get the bundle again.")
    try:
        made = read_encoder(table)
        there = tuple(made.feature)
    except UserError as error:
        raise type(error)(
            f"This bundle reads raw inputs by the encoder '{table.get('name')}', which cannot be made here: {error}"
        ) from error
    if there != feature:
        raise BadFile(f"The encoder of this bundle makes inputs of {there}, but its learner takes {feature}.")
    return made


def number_shape(x: Any) -> tuple[int, ...] | None:
    """The shape of an array of numbers, None for anything else."""
    if isinstance(x, list | tuple):
        if not len(x) or isinstance(x[0], str | Path):
            return None
        try:
            x = np.asarray(x)
        except (ValueError, TypeError, RuntimeError):  # of different lengths
            return None
    if isinstance(x, Tensor):
        return tuple(x.shape)
    return x.shape if isinstance(x, np.ndarray) and x.dtype.kind in "buif" else None


def is_encoded(x: Any, feature: tuple[int, ...]) -> bool:
    """Whether these are numbers already, one of the feature shape a row.

    >>> is_encoded([[1.0, 2.0]], (2,)), is_encoded(["a", "b"], (2,)), is_encoded(np.zeros((3, 5)), (2,))
    (True, False, False)
    """
    shape = number_shape(x)
    return shape is not None and shape[1:] == feature


def raw(encoder: Encoder, x: Any) -> Tensor:
    """(n, *feature): what the encoder makes of raw inputs.

    Raises:
        BadInputs: rows that it cannot take.
        BadExamples: something else than what it reads.
    """
    shape = number_shape(x)
    numbers = shape is not None and len(shape) < (4 if encoder.modality == "image" else 3)
    wrong = isinstance(x, Columns) != (encoder.modality == "features") or isinstance(x, str | Path | Mapping) or numbers
    if wrong or not hasattr(x, "__len__"):
        got = type(x).__name__ if shape is None else f"numbers shaped {shape}"
        feature = ", ".join(map(str, encoder.feature))
        raise BadExamples(f"This bundle reads {READS[encoder.modality]}, or numbers shaped (n, {feature}); got {got}.")
    if not len(x):
        return torch.zeros(0, *encoder.feature)
    return encoder(x if isinstance(x, Columns) else list(x))


def numbers(x: Any, dtype: torch.dtype) -> Tensor:
    """Inputs as a learner takes them: bytes scaled to 0..1, in the type of its weights."""
    x = torch.as_tensor(np.asarray(x)) if not isinstance(x, Tensor) else x
    if x.dtype == torch.uint8:
        x = x.to(torch.float32) / 255
    if not x.is_floating_point():
        raise BadExamples(f"Inputs are {x.dtype}; give torch.uint8 (0..255, scaled to 0..1) or floating numbers.")
    if x.dim() == 0:
        raise BadExamples("There is one number where inputs should be; give an array of (n, *feature).")
    return x.to(dtype)
