"""Columns of a table as names: of classes, tasks and groups, and as texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BadExamples

if TYPE_CHECKING:
    import pyarrow

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null")  # a cell that holds one of these is empty
LONGEST = 500  # characters of a class, a task or a group
EXACT = 2.0**53  # whole numbers below it have a floating-point number each


def columns_in(named: str | Sequence[str] | None, *, commas: bool = False) -> tuple[str, ...]:
    """The columns that are named for one thing: none, one, or several; with `commas` a text may name several too.

    >>> columns_in("shop"), columns_in(("shop", "year")), columns_in("x, y", commas=True)
    (('shop',), ('shop', 'year'), ('x', 'y'))
    """
    if named is None:
        return ()
    if isinstance(named, str):
        named = [name.strip() for name in named.split(",")] if commas else [named]
    return tuple(name for name in named if name)


def names_of(column: pyarrow.ChunkedArray, called: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) strings without blanks around them, and (n,) True where the cell is empty.

    The array holds objects: a name that recurs a million times is there once.

    Raises:
        BadExamples: the column holds long texts, or something that has no name.
    """
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(texts_of(column, called)).combine_chunks()
    names = [name.strip() for name in encoded.dictionary.to_pylist()]
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST:
        raise BadExamples(
            f"The column '{called}' holds texts of up to {len(longest):,} characters ('{longest[:40]}...'), so it does"
            " not name classes, tasks or groups; name another column."
        )
    table = np.array([*names, ""], dtype=object)
    codes = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    return table[codes], np.array([name in MISSING for name in table])[codes]


def texts_of(column: pyarrow.ChunkedArray, called: str) -> pyarrow.ChunkedArray:
    """The cells as strings: whole numbers without a point, whatever type they had."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
        whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), EXACT))
        if pc.all(whole).as_py() is not False:
            column = column.cast(pa.int64())
    try:
        return pc.cast(column, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadExamples(f"The column '{called}' holds {column.type}, which cannot be read as names.") from error


def numbered(values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The different values, sorted, and for each row the number of its value.

    A dictionary, since sorting strings takes ten times as long where values recur.

    >>> numbered(np.array(["b", "a", "b"]))
    (('a', 'b'), array([1, 0, 1]))
    """
    listed = values.tolist()
    names = sorted(set(listed))
    number = {name: i for i, name in enumerate(names)}
    return tuple(names), np.fromiter(map(number.__getitem__, listed), dtype=np.int64, count=len(listed))


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) a name for each row of those in several columns, (n,) each; of one column its own.

    Raises:
        BadExamples: rows that differ would have the same name.

    >>> joined([np.array(["books", "toys"]), np.array(["2", "4"])]).tolist()
    ['books / 2', 'toys / 4']
    """
    if len(parts) == 1:
        return parts[0]
    rows = list(zip(*(part.tolist() for part in parts), strict=True))
    names = {row: " / ".join(row) for row in rows}
    if len(set(names.values())) < len(names):
        twice = next(name for name, count in Counter(names.values()).items() if count > 1)
        raise BadExamples(f"Two tasks would be called '{twice}', as ' / ' stands in a name already; rename these.")
    return np.array([names[row] for row in rows], dtype=object)
