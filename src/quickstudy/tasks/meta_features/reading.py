"""From a table of any kind, and a target, to the sample that its meta-features are computed from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ...errors import BadExamples, UnknownName
from ...rng import Rng
from .sample import Sample

ROWS, COLUMNS = 10_000, 100  # at most, chosen at random where there are more
CLASSES = 20  # whole numbers of more different values are the target of a regression


def sample_of(
    x: Any,
    y: Any,
    *,
    kind: Literal["classification", "regression"] | None,
    categorical: Sequence[int],
    rng: Rng,
) -> Sample:
    """Rows and columns of a table: an array, a data frame, a sparse matrix or a list of rows.

    Raises:
        BadExamples: an empty table, a target of another length, or one that is missing everywhere.
        UnknownName: no such kind.
    """
    if kind not in (None, "classification", "regression"):
        raise UnknownName.among("kind of target", str(kind), ("classification", "regression"))
    table = x if hasattr(x, "shape") else np.array(x, dtype=object)
    if len(table.shape) != 2 or 0 in table.shape:
        raise BadExamples(f"X is {tuple(table.shape)}; a table has rows and columns, at least one of each.")
    target, ways, shares = _target(y, kind)
    if len(target) != table.shape[0]:
        raise BadExamples(f"X has {table.shape[0]} rows and y has {len(target)}; give each row one target.")
    given = np.flatnonzero(target >= 0 if ways is not None else np.isfinite(target))
    if not len(given):
        raise BadExamples("Every target is missing; give at least one.")
    rows = given[_some(len(given), ROWS, rng.at("rows"))]
    columns = _some(table.shape[1], COLUMNS, rng.at("columns"))
    part = _part(table, rows, columns)
    numbers: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    for i, j in enumerate(columns.tolist()):
        column = part.iloc[:, i] if hasattr(part, "iloc") else part[:, i]
        values = np.asarray(column)
        found = None if j in categorical or str(column.dtype) == "category" else _as_numbers(values)
        if found is None:
            codes.append(_as_codes(values))
        else:
            numbers.append(found)
    n = len(rows)
    return Sample(
        table.shape[0],
        table.shape[1],
        np.stack(numbers, 1) if numbers else np.zeros((n, 0)),
        np.stack(codes, 1) if codes else np.zeros((n, 0), dtype=np.int64),
        target[rows],
        ways,
        shares,
    )


def _some(count: int, most: int, rng: Rng) -> np.ndarray:
    """All numbers below `count`, or `most` of them at random, rising."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.argpartition(rng.uniform(np.arange(count), 1)[:, 0], most)[:most])


def _part(table: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Rows and columns as a data frame, where it is one, or an array."""
    if hasattr(table, "iloc"):
        return table.iloc[rows, columns]
    if hasattr(table, "tocsr"):
        return table.tocsr()[rows][:, columns].toarray()
    return np.asarray(table)[np.ix_(rows, columns)]


def _as_numbers(values: np.ndarray) -> np.ndarray | None:
    """float64 with NaN for what is missing, dates in seconds; None where some are no numbers."""
    if values.dtype.kind == "M":
        return np.where(np.isnat(values), np.nan, values.astype("datetime64[s]").astype(np.float64))
    if values.dtype == object:  # pandas has a missing value of its own
        values = np.array([math.nan if v is None or str(v) == "<NA>" else v for v in values], dtype=object)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        return None
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _as_codes(values: np.ndarray) -> np.ndarray:
    names = np.array([str(value) for value in values.tolist()])
    missing = np.isin(names, ("nan", "None", "<NA>", "NaT", ""))
    codes = np.full(len(names), -1, dtype=np.int64)
    codes[~missing] = np.unique(names[~missing], return_inverse=True)[1]
    return codes


def _target(y: Any, kind: str | None) -> tuple[np.ndarray, int | None, np.ndarray]:
    """Classes (-1 where missing), their number and shares; or numbers (NaN where missing), None and nothing."""
    values = np.asarray(y).reshape(-1) if np.ndim(y) == 1 or np.shape(y)[1:] == (1,) else np.asarray(y)
    if values.ndim != 1:
        raise BadExamples(f"y is {values.shape}; a target is one column. Describe each target apart.")
    numbers = None if values.dtype == bool else _as_numbers(values)
    if kind is None:
        kind = "regression" if numbers is not None and _many(numbers) else "classification"
    if kind == "regression":
        if numbers is None:
            raise BadExamples(f"The targets of a regression are numbers, and these are such as {values[:1].tolist()}.")
        return numbers, None, np.zeros(0)
    codes = _as_codes(values)
    counts = np.bincount(codes[codes >= 0])
    return codes, len(counts), counts / max(int(counts.sum()), 1)


def _many(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)]
    return bool((known % 1 != 0).any()) or len(np.unique(known)) > CLASSES
