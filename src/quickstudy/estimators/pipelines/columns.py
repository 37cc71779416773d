"""Tables of numbers, words and gaps as one matrix of numbers that every pipeline takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ...errors import BadExamples
from ...tasks.cells.names import MISSING

EMPTY = {*MISSING, "None", "<NA>", "NaT"}
MOSTLY = 0.95  # the share of cells that makes a column of words one of numbers


class ColumnReader(TransformerMixin, BaseEstimator):
    """A matrix (n, d) of numbers: those of numeric columns as they are, those of others the place among sorted names.

    What tells nothing is left out: columns with one value, or whose words are all different. A missing value, and a
    word that was not met in `fit`, is NaN.

    Attributes:
        columns_: the numbers of the columns that are kept, those of numbers first.
        names_: for each of them its sorted names, None for numbers.
        categories_: (d,) how many names each has, 0 for numbers.
        left_out_: numbers of the others.

    >>> reader = ColumnReader().fit(np.array([["1.5", "red"], ["nan", "blue"], ["2", "red"]], dtype=object))
    >>> reader.transform(np.array([["3", "blue"], ["2", "green"]], dtype=object)).tolist()
    [[3.0, 0.0], [2.0, nan]]
    """

    def fit(self, X: Any, y: Any = None) -> ColumnReader:
        """Find out what each column holds.

        Args:
            X: (n, columns) of numbers or objects.

        Raises:
            BadExamples: every column is empty, has one value, or words that are all different.
        """
        numeric: list[int] = []
        named: dict[int, np.ndarray] = {}
        for i in range(X.shape[1]):
            numbers, words = _numbers(X[:, i]), None
            if numbers is None:
                words = np.unique(_words(X[:, i]))
                words = words[words != ""]
                given = int((_words(X[:, i]) != "").sum())
                if len(words) > 1 and not len(words) == given > 2:
                    named[i] = words
            elif len(np.unique(numbers[~np.isnan(numbers)])) + bool(np.isnan(numbers).any()) > 1:
                numeric.append(i)
        self.columns_ = [*numeric, *named]
        if not self.columns_:
            raise BadExamples(
                f"None of the {X.shape[1]} columns tells anything: each is empty, has one value, or words that are all"
                " different. Give a column of numbers, or of words that recur."
            )
        self.names_ = [None] * len(numeric) + list(named.values())
        self.categories_ = np.array([0 if names is None else len(names) for names in self.names_])
        self.left_out_ = [i for i in range(X.shape[1]) if i not in self.columns_]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(n, d) float64, NaN where a value is missing."""
        made = np.full((len(X), len(self.columns_)), np.nan)
        for j, (i, names) in enumerate(zip(self.columns_, self.names_, strict=True)):
            if names is None:
                numbers = _numbers(X[:, i], mostly=0.0)
                assert numbers is not None  # with no share to reach, words are gaps
                made[:, j] = numbers
            else:
                words = _words(X[:, i])
                place = np.searchsorted(names, words).clip(max=len(names) - 1)
                made[:, j] = np.where(names[place] == words, place, np.nan)
        return made


def _numbers(column: np.ndarray, mostly: float = MOSTLY) -> np.ndarray | None:
    """(n,) numbers, NaN where there is none; None for a column of words."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    if column.dtype.kind in "mM":
        return np.where(np.isnat(column), np.nan, column.astype("int64").astype(np.float64))
    try:
        numbers = np.array([np.nan if _is_empty(cell) else cell for cell in column]).astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.array([_number(cell) for cell in column])
        given = np.array([not _is_empty(cell) for cell in column])
        if np.isfinite(numbers).sum() < max(mostly * given.sum(), mostly > 0):
            return None
    return numbers


def _number(cell: Any) -> float:
    try:
        return float(cell.timestamp() if hasattr(cell, "timestamp") else cell)
    except (TypeError, ValueError):
        return float("nan")


def _is_empty(cell: Any) -> bool:
    return str(cell).strip() in EMPTY  # which is what None, NaN and the like of every library print


def _words(column: np.ndarray) -> np.ndarray:
    """(n,) words without blanks around them, "" where there is none."""
    return np.array(["" if _is_empty(cell) else str(cell).strip() for cell in column])
