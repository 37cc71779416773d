"""Inputs as they come in JSON, made into what a bundle reads."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...bundle import Bundle
from ...encoders.series import Series
from ...encoders.tables import Table
from ...errors import BadExamples, UserError
from ...tasks.cells.names import MISSING
from ...tasks.own.rows import Columns
from ..problems import TooMuch
from ..settings import Limits
from . import pictures

LONGEST = 20_000  # characters of a text
TAKES = {"text": "text", "molecule": "text", "image": "image", "features": "row", "series": "series"}
WANTED = {
    "numbers": "nested numbers",
    "text": "a text",
    "image": 'a picture, {"image": "its file in base64"}',
    "row": 'a row, {"column": value, ...}',
    "series": "a series, a list of points in time with a number for each channel",
}


@dataclasses.dataclass(frozen=True)
class Input:
    """One input.

    Args:
        value: numbers (*feature), a picture (channels, height, width), a series (length, channels), a text or a row.
        given: what came, to be kept: JSON, or the bytes of a picture.
    """

    value: Any
    given: bytes


def takes(bundle: Bundle) -> str:
    """What one input of a bundle is: 'numbers', 'text', 'image', 'row' or 'series'."""
    if bundle.modality is not None:
        return TAKES[bundle.modality]
    return "image" if pictures.shown(bundle.feature) else "numbers"


def read(bundle: Bundle, x: Sequence[Any], limits: Limits) -> list[Input]:
    """The inputs of a request.

    Raises:
        BadExamples: one that the bundle does not read, by its place.
        TooMuch: pictures with too many pixels.
    """
    kind, left, found = takes(bundle), 4 * limits.pixels, []
    for row, one in enumerate(x):
        try:
            if kind == "image" and isinstance(one, Mapping):
                data = _decoded(one)
                left -= pictures.size(data, limits.pixels)
                if left < 0:
                    raise TooMuch("has, with those before it, too many pixels for one request; send fewer at a time")
                found.append(Input(pictures.picture(bundle, data), data))
            else:
                value = _READERS[kind](bundle, one)
                kept = {name: one[name] for name in value} if kind == "row" else one
                found.append(Input(value, _json(kept)))
        except UserError as error:
            raise type(error)(f"Input {row + 1} {str(error).rstrip('.')}.") from error
    return found


def again(bundle: Bundle, given: bytes) -> Input:
    """The input that was kept.

    Raises:
        BadExamples: this bundle does not read such inputs.
    """
    if pictures.is_picture(given):
        if takes(bundle) != "image":
            raise BadExamples(f"A picture is kept, but {WANTED[takes(bundle)]} is wanted.")
        return Input(pictures.picture(bundle, given), given)
    return Input(_READERS[takes(bundle)](bundle, json.loads(given)), given)


def gathered(bundle: Bundle, inputs: Sequence[Input]) -> Any:
    """Inputs as `bundle.encode` takes them."""
    values = [one.value for one in inputs]
    if not values:
        return np.zeros((0, *bundle.feature), dtype=np.float32)
    if isinstance(bundle.encoder, Table):
        return _columns(bundle.encoder, values)
    return np.stack(values) if bundle.modality is None else values


def _json(x: Any) -> bytes:
    try:
        return json.dumps(x, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise BadExamples("holds a number that is not finite") from error


def _decoded(x: Mapping[str, Any]) -> bytes:
    data = x.get("image")
    if set(x) != {"image"} or not isinstance(data, str):
        raise BadExamples(f"is not what this bundle reads: {WANTED['image']}")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadExamples("is not base64; leave out a prefix such as data:image/png;base64,") from error


def _numbers(bundle: Bundle, x: Any) -> np.ndarray:
    made = _array(x, "numbers")
    if made.shape != bundle.feature:
        raise BadExamples(f"is shaped {made.shape}, but this bundle reads numbers shaped {bundle.feature}")
    return made


def _array(x: Any, kind: str) -> np.ndarray:
    try:
        made = np.asarray(x)
        if made.dtype.kind == "O" and kind == "series":  # null is a gap
            made = np.asarray(x, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadExamples(f"is not {WANTED[kind]}") from error
    if made.dtype.kind not in "iuf":
        raise BadExamples(f"is not {WANTED[kind]}")
    with np.errstate(over="ignore"):
        made = made.astype(np.float32)
    if np.isinf(made).any() or (kind != "series" and np.isnan(made).any()):
        raise BadExamples("holds a number that is too large")
    return made


def _picture(bundle: Bundle, x: Any) -> np.ndarray:
    """Numbers in the place of a picture."""
    if isinstance(x, str) or (bundle.modality is not None and not pictures.shown(bundle.feature)):
        raise BadExamples(f"is not what this bundle reads: {WANTED['image']}")
    return pictures.of_numbers(bundle, _numbers(bundle, x))


def _text(bundle: Bundle, x: Any) -> str:
    if not isinstance(x, str) or not x.strip():
        raise BadExamples(f"is not {WANTED['text']}")
    if len(x) > LONGEST:
        raise BadExamples(f"has {len(x):,} characters; at most {LONGEST:,} are read")
    if any(0xD800 <= ord(c) < 0xE000 for c in x):
        raise BadExamples("holds half of a character (a lone surrogate); write it again")
    return x.strip()


def _series(bundle: Bundle, x: Any) -> np.ndarray:
    made = _array(x, "series")
    made = made[:, None] if made.ndim == 1 else made
    encoder = bundle.encoder
    if isinstance(encoder, Series) and (made.ndim != 2 or made.shape[1] != len(encoder.channels) or not len(made)):
        raise BadExamples(f"is shaped {made.shape}, not (points, {len(encoder.channels)} channels)")
    return made


def _row(bundle: Bundle, x: Any) -> dict[str, Any]:
    encoder = bundle.encoder
    assert isinstance(encoder, Table)
    if not isinstance(x, Mapping):
        raise BadExamples(f"is not {WANTED['row']}")
    named = [scale.name for scale in encoder.numeric]
    lacking = [name for name in (*named, *(name for name, _ in encoder.categorical)) if name not in x]
    if lacking:
        raise BadExamples(f"has no column '{lacking[0]}'; give null where a value is not known")
    made: dict[str, Any] = {name: _number(name, x[name]) for name in named}
    for name, _ in encoder.categorical:
        if isinstance(x[name], list | Mapping):
            raise BadExamples(f"has no single value in '{name}'")
        word = "" if x[name] is None else str(x[name]).strip()
        made[name] = None if word in {*MISSING, "?"} else word
    return made


def _number(name: str, cell: Any) -> float:
    if cell is None or (isinstance(cell, str) and cell.strip() in {*MISSING, "?"}):
        return math.nan
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadExamples(f"holds '{str(cell)[:40]}' in '{name}', where a number should be") from error
    if not math.isfinite(number):
        raise BadExamples(f"holds no finite number in '{name}'")
    return number


def _columns(table: Table, rows: Sequence[Mapping[str, Any]]) -> Columns:
    names = tuple(scale.name for scale in table.numeric)
    numeric = np.array([[row[name] for name in names] for row in rows]).reshape(len(rows), len(names))
    known = tuple(categories for _, categories in table.categorical)
    codes = [
        [words.index(row[name]) if row[name] in words else -1 for (name, words) in table.categorical] for row in rows
    ]
    categorical = np.array(codes, dtype=np.int32).reshape(len(rows), len(known))
    return Columns(numeric, names, categorical, tuple(name for name, _ in table.categorical), known)


_READERS = {"numbers": _numbers, "image": _picture, "text": _text, "series": _series, "row": _row}
