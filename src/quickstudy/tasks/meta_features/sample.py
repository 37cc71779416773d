"""The part of a data set that its meta-features are computed from, and what several of them need."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable

import numpy as np

BINS = 10  # of equally many rows, where an entropy needs numbers as categories


@dataclasses.dataclass(frozen=True)
class Sample:
    """Some rows and columns of a table, numbers apart from categories.

    Args:
        rows, columns: of the whole table.
        numbers: (n, p) float64, NaN where missing.
        codes: (n, q) int64 categories 0, 1, ..., -1 where missing.
        y: (n,) int64 classes 0..ways-1, or float64 targets.
        ways: classes of the whole table; None for a regression.
        shares: (ways,) of the rows of the whole table.
    """

    rows: int
    columns: int
    numbers: np.ndarray
    codes: np.ndarray
    y: np.ndarray
    ways: int | None
    shares: np.ndarray

    @functools.cached_property
    def standard(self) -> np.ndarray:
        """(n, p') columns of numbers that vary, with mean 0 and variance 1; what is missing is 0."""
        some = self.numbers[:, np.isfinite(self.numbers).any(0)]
        some = some / np.maximum(np.nanmax(np.abs(some), 0, initial=0.0), 1e-300)  # so that no square overflows
        centred = some - np.nanmean(some, 0)
        scale = np.sqrt(np.nanmean(centred * centred, 0))
        return np.nan_to_num(centred[:, scale > 1e-12] / scale[scale > 1e-12])

    @functools.cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """(p',) skewness and excess kurtosis of the columns that vary."""
        squares = self.standard * self.standard  # products: a power of floats takes ten times as long
        return (squares * self.standard).mean(0), (squares * squares).mean(0) - 3

    @functools.cached_property
    def correlations(self) -> np.ndarray:
        """(pairs,) absolute correlations of every two columns of numbers that vary."""
        matrix = self.standard.T @ self.standard / max(len(self.standard), 1)
        return np.abs(matrix[np.triu_indices(len(matrix), 1)])

    @functools.cached_property
    def components(self) -> np.ndarray:
        """The share of the variance that each principal component of the standardised numbers has, falling."""
        values = np.linalg.svd(self.standard, compute_uv=False) ** 2 if self.standard.size else np.zeros(0)
        return values / max(float(values.sum()), 1e-300)

    @functools.cached_property
    def categories(self) -> np.ndarray:
        """(n, p + q) every column as categories: numbers in bins of equally many rows, what is missing on its own."""
        binned = [in_bins(column) for column in self.numbers.T]
        kept = [np.unique(column, return_inverse=True)[1] for column in self.codes.T]
        return np.stack(binned + kept, 1)

    @functools.cached_property
    def classes(self) -> np.ndarray:
        """(n,) the target as categories, binned where it is a number."""
        return self.y if self.ways is not None else in_bins(self.y)

    @functools.cached_property
    def informations(self) -> tuple[np.ndarray, np.ndarray]:
        """(p + q,) entropies of the columns, and their mutual informations with the target, in bits."""
        own = np.array([entropy(column) for column in self.categories.T])
        wide = int(self.classes.max(initial=0)) + 1
        joint = np.array([entropy(column * wide + self.classes) for column in self.categories.T])
        return own, np.maximum(own + entropy(self.classes) - joint, 0.0)

    @functools.cached_property
    def encoded(self) -> np.ndarray:
        """(n, e) all columns as numbers for simple models: standardised, categories one-hot (the 20 most frequent)."""
        parts = [self.standard]
        for column in self.codes.T:
            values, counts = np.unique(column[column >= 0], return_counts=True)
            frequent = values[np.argsort(-counts, kind="stable")[:20]]
            parts.append((column[:, None] == frequent).astype(np.float64))
        return np.concatenate(parts, 1)


def in_bins(values: np.ndarray) -> np.ndarray:
    """(n,) numbers as categories: each its own where there are few, else `BINS` of equally many rows; missing apart."""
    known = np.isfinite(values)
    distinct_values = np.unique(values[known])
    if len(distinct_values) > BINS:
        distinct_values = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:]))
    codes = np.searchsorted(distinct_values, np.nan_to_num(values))
    return np.where(known, codes, len(distinct_values))


def entropy(codes: np.ndarray) -> float:
    """The entropy of categories 0, 1, ..., in bits."""
    few = int(codes.max(initial=0)) < 10 * len(codes)
    counts = np.bincount(codes) if few else np.unique(codes, return_counts=True)[1]
    shares = counts[counts > 0] / len(codes)
    return float(-(shares * np.log2(shares)).sum()) + 0.0  # never minus zero


def mean(values: Iterable[float] | np.ndarray) -> float:
    """The mean of what is finite; NaN where nothing is."""
    known = _finite(values)
    return float(known.mean()) if len(known) else math.nan


def spread(values: Iterable[float] | np.ndarray) -> float:
    """The standard deviation of what is finite; NaN where nothing is."""
    known = _finite(values)
    return float(known.std()) if len(known) else math.nan


def largest(values: Iterable[float] | np.ndarray) -> float:
    """The largest of what is finite; NaN where nothing is."""
    known = _finite(values)
    return float(known.max()) if len(known) else math.nan


def _finite(values: Iterable[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64).ravel()
    return array[np.isfinite(array)]
