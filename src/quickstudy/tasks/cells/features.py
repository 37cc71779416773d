"""Columns of a table as features, each by its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BadExamples
from ..own.rows import SHOWN, Columns, Dropped
from .names import MISSING, texts_of
from .numbers import numbers_of

if TYPE_CHECKING:
    import pyarrow

MOSTLY = 0.95  # the share of cells that makes a column one of numbers


def features_of(table: pyarrow.Table, decimal: str, gone: int = 0) -> tuple[Columns, list[Dropped], list[str]]:
    """The columns of a table by type, those that tell nothing left out; what was left out; and what to say.

    Each column of the table is let go of as soon as it is read.

    Args:
        table: without the columns of label, task and group.
        decimal: the mark that numbers are written with.
        gone: how many rows of the file are not in the table.

    Raises:
        BadExamples: no column is left.
    """
    numeric: dict[str, np.ndarray] = {}
    codes: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
    out: dict[str, list[str]] = {}
    notes: list[str] = []
    n, wanted = len(table), list(table.column_names)
    for name in wanted:
        column, table = table[name], table.drop_columns([name])
        found = _feature(column, name, decimal, gone, notes)
        del column
        if isinstance(found, str):
            out.setdefault(found, []).append(name)
        elif isinstance(found, tuple):
            codes[name] = found
        else:
            numeric[name] = found
    dropped = [Dropped.of(reason, names) for reason, names in out.items()]
    if not numeric and not codes:
        why = "; ".join(f"{d.reason}: {', '.join(d.examples)}" for d in dropped) or "there is none but task and label"
        raise BadExamples(f"No column is left to predict from ({why}). Name a column of texts, images or molecules.")
    columns = Columns(
        np.array([*numeric.values()]).T if numeric else np.zeros((n, 0)),  # column by column in memory, as it is used
        tuple(numeric),
        np.array([c for c, _ in codes.values()]).T if codes else np.zeros((n, 0), dtype=np.int32),
        tuple(codes),
        tuple(names for _, names in codes.values()),
    )
    return columns, dropped, notes


def _feature(
    column: pyarrow.ChunkedArray, name: str, decimal: str, gone: int, notes: list[str]
) -> np.ndarray | tuple[np.ndarray, tuple[str, ...]] | str:
    """Numbers, or codes and what they stand for, or the reason to leave the column out."""
    import pyarrow as pa

    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return f"columns whose cells are {column.type}, neither a number nor a name"
    if pa.types.is_boolean(column.type):
        return _codes(column, name)
    values, empty, words = numbers_of(column, decimal)
    given = int((~empty).sum())
    if not given:
        return "columns without a value"
    if given - words.sum() >= MOSTLY * given:
        if words.any():
            odd = column.filter(pa.array(words)).slice(0, SHOWN).to_pylist()
            shown = ", ".join(f"'{cell[:30]}'" for cell in dict.fromkeys(odd))
            notes.append(f"'{name}' holds numbers, and {words.sum():,} words that count as missing: {shown}")
        return _telling(values, gone)
    return _codes(column, name)


def _telling(values: np.ndarray, gone: int) -> np.ndarray | str:
    """The numbers, or why they tell nothing."""
    low, high = np.nanmin(values), np.nanmax(values)
    if low == high and not np.isnan(values).any():
        return "columns with the same value in every row"
    steps = values[1:] - values[:-1]
    # Numbers that count the rows one by one, but for those that have been left out in between.
    if len(values) > 2 and ((steps >= 1) & (steps % 1 == 0)).all() and high - low < len(values) + gone:
        return "columns that number the rows"
    return values


def _codes(column: pyarrow.ChunkedArray, name: str) -> tuple[np.ndarray, tuple[str, ...]] | str:
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(texts_of(column, name)).combine_chunks()
    words = [word.strip() for word in encoded.dictionary.to_pylist()]
    names = tuple(sorted(set(words) - {*MISSING, "?"}))
    number = {word: i for i, word in enumerate(names)}
    table = np.array([*(number.get(word, -1) for word in words), -1], dtype=np.int32)
    codes: np.ndarray = table[encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]
    given = int((codes >= 0).sum())
    if not given:
        return "columns without a value"
    if len(names) == given > 1:
        return "columns whose words are all different (ids or texts)"
    if len(names) == 1 and given == len(codes):
        return "columns with the same value in every row"
    return codes, names
