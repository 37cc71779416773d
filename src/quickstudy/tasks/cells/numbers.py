"""Columns of a table as numbers, however they are written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from .names import MISSING, texts_of

if TYPE_CHECKING:
    import pyarrow

NO_NUMBER = ("?", "-", ".", "None", "none", "NaT")  # a cell is empty that holds one of these among numbers
EXPONENT = r"([eE][+-]?\d+)?$"
PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)" + EXPONENT
COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?" + EXPONENT  # 1.234,5
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"  # 1,234.5
SAMPLE = 1000  # cells that show whether a column holds words
DATE = re.compile(r"\d{4}-\d\d-\d\d([ T].*)?")


def numbers_of(column: pyarrow.ChunkedArray, decimal: str = ".") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) float64 with NaN for what is no number, (n,) True where the cell is empty, and where it holds a word.

    Dates are seconds since 1970, times of day and durations are seconds. Thousands may be grouped, as 1,234.5 or (where
    the decimal mark is a comma) 1.234,5.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_temporal(column.type):
        empty = column.is_null().to_numpy(zero_copy_only=False)
        span, time = pa.types.is_duration(column.type), pa.types.is_time(column.type)
        ticks = column.cast(pa.duration("us") if span else pa.time64("us") if time else pa.timestamp("us"), safe=False)
        values = ticks.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / 1e6
        return np.where(empty, np.nan, values), empty, np.zeros(len(empty), dtype=bool)
    if not (pa.types.is_primitive(column.type) or pa.types.is_decimal(column.type) or pa.types.is_null(column.type)):
        return _parsed(texts_of(column, "of numbers"), decimal)
    values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    finite = np.isfinite(values)
    return np.where(finite, values, np.nan), ~finite, np.zeros(len(finite), dtype=bool)


def _parsed(column: pyarrow.ChunkedArray, decimal: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    empty = pc.is_in(column, value_set=pa.array([*MISSING, *NO_NUMBER, None], type=column.type))
    column = pc.if_else(empty, pa.scalar(None, column.type), column)
    missing = empty.to_numpy(zero_copy_only=False)
    sample = column.drop_null().slice(0, 100).to_pylist()
    if sample and all(map(DATE.fullmatch, sample)):
        try:
            return numbers_of(pc.cast(column, pa.timestamp("us")), decimal)
        except pa.ArrowInvalid:
            pass
    if decimal == "." or not pc.any(pc.match_substring_regex(column, "[.,]")).as_py():
        try:
            values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            return np.where(np.isfinite(values), values, np.nan), missing | ~np.isfinite(values), missing & False
        except pa.ArrowInvalid:
            pass
    some = column.drop_null()
    some = some.take(np.unique(np.linspace(0, len(some) - 1, SAMPLE).astype(int)))
    if 2 * max(pc.sum(fits).as_py() for fits, _ in _readings(some, decimal)) < len(some):
        return np.full(len(missing), np.nan), missing, ~missing  # words, which need not be tried one by one
    fits, changed = max(_readings(column, decimal), key=lambda reading: pc.sum(reading[0]).as_py() or 0)
    number = fits.fill_null(False).to_numpy(zero_copy_only=False)
    values = pc.cast(pc.if_else(fits, changed, pa.scalar(None, column.type)), pa.float64())
    return values.to_numpy(zero_copy_only=False), missing, ~number & ~missing


def _readings(column: pyarrow.ChunkedArray, decimal: str) -> list[tuple[pyarrow.Array, pyarrow.Array]]:
    """The ways to write numbers, the likelier first: which cells are written so, and the same in Arrow's way."""
    import pyarrow.compute as pc

    column = pc.replace_substring_regex(column, r"^\+", "")
    plain = pc.match_substring_regex(column, PLAIN), column
    without = pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
    comma = pc.match_substring_regex(column, COMMA), without
    grouped = pc.or_(plain[0], pc.match_substring_regex(column, THOUSANDS)), pc.replace_substring(column, ",", "")
    return [comma, plain] if decimal == "," else [plain, grouped, comma]
