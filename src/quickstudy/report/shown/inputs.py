"""What inputs look like to a person: pictures, lines of text, rows of a table, or small curves."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...tasks.own.rows import Columns, Rows
from .pictures import of_file, of_series, of_tensor, under_heat
from .texts import Part, marked, number, shortened

LETTERS = 180  # of a text
COLUMNS = 6  # of a table

Parts = Tensor | Sequence[Part] | None  # what is lost without each: (height, width) places, words or columns; unknown


class Inputs(abc.ABC):
    """How inputs of one modality are shown.

    Attributes:
        layout: 'tiles' that stand side by side, 'lines' that stand below each other, or 'cells' of a table.
        columns: what the cells of an input are.
        more: columns that there is no room for.
    """

    layout = "tiles"
    columns: tuple[str, ...] = ()
    more = 0

    @abc.abstractmethod
    def html(self, row: int, x: Tensor, alt: str) -> str:
        """One input: of a row of the user's data, or of its tensor where there are none; cells as `<td>`."""

    def large(self, row: int, x: Tensor, alt: str, parts: Parts) -> str:
        """The same alone, and what is lost of an answer without each of its parts."""
        return self.html(row, x, alt)

    def cells(self, row: int, x: Tensor) -> dict[str, str]:
        """All columns of an input that has any."""
        return {}


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


class _Images(Inputs):
    def __init__(self, images: Any):
        self.images = images

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return self._picture(row, alt)

    def large(self, row: int, x: Tensor, alt: str, parts: Parts) -> str:
        return under_heat(self._picture(row, alt, large=True), parts if isinstance(parts, Tensor) else None)

    def _picture(self, row: int, alt: str, *, large: bool = False) -> str:
        image = self.images[row]
        if isinstance(image, np.ndarray):
            return of_tensor(torch.from_numpy(image), alt, large=large)
        return of_file(image, alt, large=large)


class _Series(Inputs):
    def __init__(self, series: Any):
        self.series = series

    def html(self, row: int, x: Tensor, alt: str) -> str:
        series = np.asarray(self.series[row])
        return of_series(series[:, None] if series.ndim == 1 else series, alt)


class _Texts(Inputs):
    layout = "lines"

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return f"<q>{escape(shortened(self.texts[row], LETTERS))}</q>"

    def large(self, row: int, x: Tensor, alt: str, parts: Parts) -> str:
        return self.html(row, x, alt) if parts is None or isinstance(parts, Tensor) else f"<q>{marked(parts)}</q>"


class _Molecules(Inputs):
    layout = "lines"

    def __init__(self, molecules: Sequence[str]):
        self.molecules = molecules

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return f"<code>{escape(shortened(self.molecules[row], LETTERS))}</code>"


class _Cells(Inputs):
    """Inputs whose parts have names."""

    layout = "cells"

    def __init__(self, names: Sequence[str]):
        self.columns, self.more = tuple(names[:COLUMNS]), max(0, len(names) - COLUMNS)

    def html(self, row: int, x: Tensor, alt: str) -> str:
        return cells([text for _, text in zip(self.columns, self.cells(row, x).values(), strict=False)])


class _Table(_Cells):
    def __init__(self, table: Columns):
        super().__init__(table.names)
        self.table = table

    def cells(self, row: int, x: Tensor) -> dict[str, str]:
        coded = zip(self.table.categories, self.table.categorical[row].tolist(), strict=True)
        texts = [*map(number, self.table.numeric[row].tolist()), *(names[c] if c >= 0 else "" for names, c in coded)]
        return dict(zip(self.table.names, texts, strict=True))


class _Numbers(_Cells):
    def __init__(self, width: int):
        super().__init__([f"x{i}" for i in range(width)])

    def cells(self, row: int, x: Tensor) -> dict[str, str]:
        return {f"x{i}": number(value) for i, value in enumerate(x.tolist())}


def cells(texts: Sequence[str]) -> str:
    """Cells of a table."""
    return "".join(f"<td>{escape(shortened(text, 24))}</td>" for text in texts)


class _Tensors(Inputs):
    """Images, or series (channels, time), that are nobody's files."""

    def __init__(self, feature: tuple[int, ...]):
        self.series = len(feature) == 2

    def html(self, row: int, x: Tensor, alt: str) -> str:
        # Named images of one channel are characters, whose ink is 1.
        return of_series(x.T.cpu().numpy(), alt) if self.series else of_tensor(x, alt, ink=len(x) == 1)

    def large(self, row: int, x: Tensor, alt: str, parts: Parts) -> str:
        if self.series:
            return self.html(row, x, alt)
        picture = of_tensor(x, alt, ink=len(x) == 1, large=True)
        return under_heat(picture, parts if isinstance(parts, Tensor) else None)
