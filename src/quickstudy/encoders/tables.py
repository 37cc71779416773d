"""Tables as tensors, scaled by what is usual among the rows of meta-train; what is missing is marked."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import BadExamples, UnknownName
from ..tasks.own.rows import Columns

USUAL = 3.0  # deviations beyond which numbers count by their logarithm
HUGE = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Scale:
    """What is usual for a number: the middle and the spread of those that were seen.

    Args:
        name: of a column.
        centre: what becomes 0.
        spread: what becomes 1.
        gaps: whether some were missing.
        scaled: False leaves numbers as they are.
    """

    name: str
    centre: float = 0.0
    spread: float = 1.0
    gaps: bool = False
    scaled: bool = True

    @classmethod
    def of(cls, name: str, seen: np.ndarray, *, scaled: bool = True) -> Scale:
        """Median and quartiles, which a few huge numbers do not move; 0 and 1 where all numbers are 0 or 1.

        >>> Scale.of("x", np.array([1.0, 2.698, 4.396, np.nan])).spread.__round__(3)
        1.259
        """
        there = seen[~np.isnan(seen)].astype(np.float64)
        gaps = len(there) < len(seen)
        if not scaled or ((there == 0) | (there == 1)).all():
            return cls(name, gaps=gaps, scaled=scaled)
        low, middle, high = np.quantile(there, (0.25, 0.5, 0.75)).tolist()
        # Of a normal distribution the quartiles lie 1.349 deviations apart; where they are equal, as in a column of
        # mostly zeros, they say nothing.
        with np.errstate(over="ignore"):
            spread = (high - low) / 1.349 or float(there.std())
        return cls(name, middle, spread if 0 < spread < np.inf else 1.0, gaps)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Centred and scaled, 0 where missing; beyond three deviations logarithmic, so order is kept and nothing huge.

        >>> Scale("x", 10.0, 2.0)(np.array([10.0, 12.0, np.nan, 1e9])).round(1).tolist()
        [0.0, 1.0, 0.0, 23.0]
        """
        z = np.nan_to_num((numbers.astype(np.float64) - self.centre) / self.spread)
        if not self.scaled:
            return z.clip(-HUGE, HUGE)
        beyond = np.maximum(np.abs(z) - USUAL, 0)
        return np.sign(z) * (np.minimum(np.abs(z), USUAL) + np.log1p(beyond))


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns of a table as numbers: numeric ones scaled, of categorical ones a 0 or 1 for each category.

    It is fitted to rows of meta-train alone, the others are not looked at. A category that was not seen there, like one
    that is missing, is 0 everywhere. Columns are found by name, in any order. Where ranges differ from task to
    task, fit with `scaled=False`, and let a learner scale by its support set.

    Args:
        numeric: the numeric columns.
        categorical: the others, each with the categories that count.
        form: 'vector' is all values, then a 1 for each missing one of the columns that had gaps; 'columns' is a pair
            for each value, for networks that read columns as a set: the value, and 1 where it is known.

    >>> columns = Columns(np.array([[1.], [np.nan]]), ("age",), np.array([[0], [-1]], np.int32), ("hue",), (("red",),))
    >>> Table.fit(columns)(columns)
    tensor([[1., 1., 0.],
            [0., 0., 1.]])
    """

    modality: ClassVar[str] = "features"
    numeric: tuple[Scale, ...]
    categorical: tuple[tuple[str, tuple[str, ...]], ...]
    form: Literal["vector", "columns"] = "vector"

    def __post_init__(self) -> None:
        if self.form not in ("vector", "columns"):
            raise UnknownName.among("form of a table", self.form, ("vector", "columns"))

    @classmethod
    def fit(
        cls,
        columns: Columns,
        train: np.ndarray | None = None,
        *,
        form: Literal["vector", "columns"] = "vector",
        scaled: bool = True,
        most_categories: int = 32,
    ) -> Table:
        """The one for tables with these columns.

        Args:
            columns: of all rows.
            train: numbers (or a mask) of the rows of meta-train; None: all are.
            form: of the tensor.
            scaled: False leaves numbers as they are.
            most_categories: of a column; rarer ones count as not seen.
        """
        columns = columns if train is None else columns[train]
        numeric = [Scale.of(n, columns.numeric[:, i], scaled=scaled) for i, n in enumerate(columns.numeric_names)]
        categorical = []
        for i, name in enumerate(columns.categorical_names):
            counts = Counter(columns.categorical[:, i].tolist())
            counts.pop(-1, None)
            often = sorted(code for code, _ in counts.most_common(most_categories))
            categorical.append((name, tuple(columns.categories[i][code] for code in often)))
        return cls(tuple(numeric), tuple(categorical), form)

    @property
    def identity(self) -> str:
        return f"table 1 {hashlib.sha256(repr(self).encode()).hexdigest()}"

    @property
    def feature(self) -> tuple[int, ...]:
        width = len(self.numeric) + sum(len(categories) for _, categories in self.categorical)
        return (width, 2) if self.form == "columns" else (width + sum(scale.gaps for scale in self.numeric),)

    def __call__(self, inputs: Columns) -> Tensor:
        """(n, width) or (n, columns, 2) float32.

        Raises:
            BadExamples: a column is not there.
        """
        values, known = [], []
        for scale in self.numeric:
            numbers = inputs.numeric[:, _place(scale.name, inputs.numeric_names, "numeric")]
            values.append(scale(numbers))
            known.append(~np.isnan(numbers))
        for name, categories in self.categorical:
            place = _place(name, inputs.categorical_names, "categorical")
            codes, here = inputs.categorical[:, place], inputs.categories[place]
            for category in categories:
                values.append(codes == here.index(category) if category in here else np.zeros(len(codes)))
                known.append(codes >= 0)
        if self.form == "vector":
            values += [~there for scale, there in zip(self.numeric, known, strict=False) if scale.gaps]
        made = np.empty((len(inputs), len(values)) + (2,) * (self.form == "columns"), dtype=np.float32)
        for i, value in enumerate(values):
            made[:, i] = value if self.form == "vector" else np.stack([value, known[i]], 1)
        return torch.from_numpy(made)


def _place(name: str, names: Sequence[str], kind: str) -> int:
    if name not in names:
        raise BadExamples(str(UnknownName.among(f"{kind} column", name, names)))
    return names.index(name)
