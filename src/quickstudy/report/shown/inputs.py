"""What inputs look like to a person: pictures, lines of text, rows of a table, or small curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...tasks.own.rows import Columns, Rows
from .pictures import of_file, of_series, of_tensor

LETTERS = 180  # of a text
COLUMNS = 6  # of a table


class Inputs(Protocol):
    """How inputs of one modality are shown.

    Attributes:
        layout: 'tiles' that stand side by side, 'lines' that stand below each other, or 'cells' of a table.
        columns: what the cells of an input are.
        more: columns that there is no room for.
    """

    layout: str
    columns: tuple[str, ...]
    more: int

    def html(self, row: int, x: Tensor, alt: str) -> str:
        """One input: of a row of the user's data, or of its tensor where there are none; cells as `<td>`."""


def inputs_of(rows: Rows | None, feature: tuple[int, ...]) -> Inputs | None:
    """How such inputs are shown: by what a user brought, else by the shape of their tensor; None: not at all.

    >>> inputs_of(None, (3, 8, 8)).layout, inputs_of(None, (2,)).columns, inputs_of(None, (2, 2, 2, 2))
    ('tiles', ('x0', 'x1'), None)
    """
    if rows is None:
        if len(feature) == 1:
            return _Numbers(feature[0])
        return _Tensors(feature) if len(feature) in (2, 3) else None
    if isinstance(rows.inputs, Columns):
        return _Table(rows.inputs)
    made: dict[str, Callable[[Any], Inputs]] = {"image": _Images, "series": _Series, "text": _Texts}
    return made.get(rows.modality, _Molecules)(rows.inputs)


def shortened(text: str, letters: int) -> str:
    """The beginning of a text, white space made plain.

    >>> shortened("a  long\\n story", 8)
    'a long…'
    """
    plain = " ".join(text.split())
    return plain if len(plain) <= letters else plain[: letters - 1].rstrip() + "…"


def number(value: float) -> str:
    """A number to four digits; empty where it is missing."""
    return "" if math.isnan(value) else f"{value:.4g}"


class _Shown:
    """What was read of the user's files."""

    layout = "tiles"
    columns: tuple[str, ...] = ()
    more = 0

    def __init__(self, inputs: Any):
        self.inputs = inputs


class _Images(_Shown):
    def html(self, row: int, x: Tensor, alt: str) -> str:
        image = self.inputs[row]
        return of_tensor(torch.from_numpy(image), alt) if isinstance(image, np.ndarray) else of_file(image, alt)


class _Series(_Shown):
    def html(self, row: int, x: Tensor, alt: str) -> str:
        series = np.asarray(self.inputs[row])
        return of_series(series[:, None] if series.ndim == 1 else series, alt)


class _Texts(_Shown):
    layout = "lines"

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return f"<q>{escape(shortened(self.inputs[row], LETTERS))}</q>"


class _Molecules(_Shown):
    layout = "lines"

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return f"<code>{escape(shortened(self.inputs[row], LETTERS))}</code>"


class _Table:
    layout = "cells"

    def __init__(self, columns: Columns):
        self.all, self.columns = columns, columns.names[:COLUMNS]
        self.more = max(0, len(columns.names) - COLUMNS)

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return cells(cells_of(self.all, row)[:COLUMNS])


def cells_of(columns: Columns, row: int) -> list[str]:
    """All cells of a row as text, in the order of `columns.names`."""
    named = zip(columns.categories, columns.categorical[row].tolist(), strict=True)
    return [number(v) for v in columns.numeric[row].tolist()] + [names[c] if c >= 0 else "" for names, c in named]


def cells(texts: list[str]) -> str:
    """Cells of a table."""
    return "".join(f"<td>{escape(shortened(text, 24))}</td>" for text in texts)


class _Numbers:
    """Vectors without names."""

    layout = "cells"

    def __init__(self, width: int):
        self.columns = tuple(f"x{i}" for i in range(min(width, COLUMNS)))
        self.more = max(0, width - COLUMNS)

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return cells([number(v) for v in x[:COLUMNS].tolist()])


class _Tensors:
    """Images, or series (channels, time), that are nobody's files."""

    layout = "tiles"
    columns: tuple[str, ...] = ()
    more = 0

    def __init__(self, feature: tuple[int, ...]):
        self.series = len(feature) == 2

    def html(self, row: int, x: Tensor, alt: str) -> str:
        # Named images of one channel are characters, whose ink is 1.
        return of_series(x.T.cpu().numpy(), alt) if self.series else of_tensor(x, alt, ink=len(x) == 1)
