"""Arrays, by scikit-learn's conventions: X, y and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import BadExamples
from ..checked.findings import kind_of, settled
from .rows import Columns, Rows

SHAPES = {2: "features", 3: "series", 4: "image"}


def rows_from_arrays(X: Any, y: Any, groups: Any = None, *, name: str = "arrays", kind: str | None = None) -> Rows:
    """Rows of arrays that are already there; what is not changed is not copied.

    Args:
        X: NumPy or torch; (n, d) numbers, NaN where one is missing; (n, length, channels) series; (n, channels, height,
            width) images, uint8 or floating, or (n, height, width) of uint8; or n strings, which are texts.
        y: (n,) labels.
        groups: (n,) the task of each row (what scikit-learn splits by); None: tasks are drawn from the classes.
        name: what results call it.
        kind: 'classification' or 'regression'; without it a number with many different values is a regression.

    Raises:
        BadExamples: shapes that do not fit together, infinite numbers, or labels that are missing.
        NotEnoughExamples: nothing that could be learned from.

    >>> rows = rows_from_arrays(np.eye(4), ["a", "b", "a", "b"], groups=[0, 0, 1, 1])
    >>> rows.modality, rows.kind, rows.task_numbers[0]
    ('features', 'classification', ('0', '1'))
    """
    inputs, modality, notes = _inputs(X)
    names, numbers = _names(y, "y", len(inputs))
    tasks = None if groups is None else _names(groups, "groups", len(inputs))[0]
    found, note = kind_of(names, numbers, kind, tasks is not None)
    labels = names if found == "classification" or numbers is None else numbers
    return settled(Rows(name, modality, inputs, labels, found, tasks, notes=(note, *notes)))


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _inputs(X: Any) -> tuple[Sequence[str] | np.ndarray | Columns, str, tuple[str, ...]]:
    x = _array(X)
    if x.dtype.kind in "UO" and x.ndim == 1 and all(isinstance(cell, str) for cell in x.tolist()):
        return x.tolist(), "text", ()
    if x.dtype.kind not in "fiub" or x.ndim not in SHAPES:
        raise BadExamples(
            f"X is (n, d) numbers, (n, length, channels) series, (n, channels, height, width) images, or n strings; got"
            f" {x.shape} of {x.dtype}. Tables with words in them are read from a file by read_table."
        )
    if 0 in x.shape:
        raise BadExamples(f"X has the shape {x.shape}, so there is nothing in it.")
    if x.ndim == 3 and x.dtype == np.uint8:
        x = x[:, None]
    if x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        raise BadExamples(f"Images are (n, channels, height, width), not {x.shape}; use X.transpose(0, 3, 1, 2).")
    if x.dtype.kind == "f" and (np.isinf(x).any() or (x.ndim == 4 and np.isnan(x).any())):
        row = int(np.argmax(~np.isfinite(x.reshape(len(x), -1)).all(1)))
        raise BadExamples(f"Row {row} of X is not finite; where a number is not known, features and series take NaN.")
    if x.ndim == 4:
        note = f"X is read as images, (channels, height, width) = {x.shape[1:]}"
        return (x if x.dtype == np.uint8 else x.astype(np.float32, copy=False)), "image", (note,)
    if x.ndim == 3:
        note = f"X is read as series, (length, channels) = {x.shape[1:]}"
        return x.astype(np.float32, copy=False), "series", (note,)
    numbers = x if x.dtype.kind == "f" else x.astype(np.float32 if x.dtype.itemsize < 4 else np.float64)
    names = tuple(f"x{i}" for i in range(x.shape[1]))
    return Columns(numbers, names, np.zeros((len(x), 0), dtype=np.int32), (), ()), "features", ()


def _names(values: Any, called: str, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(n,) strings, and (n,) float64 where all of them are numbers."""
    array = _array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise BadExamples(f"X has {n} rows, so {called} must be ({n},), not {array.shape}.")
    number = array.dtype.kind in "fiu"
    if array.dtype.kind == "f":
        missing = ~np.isfinite(array)
        whole = bool((array == np.floor(array)).all())
        array = array.astype(np.int64) if whole and not missing.any() else array
    else:
        missing = (
            np.array([v is None or v != v for v in array.tolist()]) if array.dtype.kind == "O" else np.zeros(n, bool)
        )
    if missing.any():
        raise BadExamples(
            f"{called} is missing (NaN, None or infinite) in {missing.sum():,} rows, row {int(missing.argmax())} first;"
            " leave them out."
        )
    return array.astype(str), array.astype(np.float64) if number else None
