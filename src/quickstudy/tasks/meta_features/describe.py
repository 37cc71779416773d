"""The meta-features of a table, all at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ...errors import UnknownName
from ...rng import Rng
from .groups import information, landmarkers, simple, statistical
from .reading import sample_of
from .sample import Sample

GROUPS: dict[str, tuple[Callable[[Sample], float], ...]] = {
    "simple": simple.FEATURES,
    "statistical": statistical.FEATURES,
    "information": information.FEATURES,
    "landmarkers": landmarkers.FEATURES,
}


def describe(
    x: Any,
    y: Any,
    *,
    kind: Literal["classification", "regression"] | None = None,
    categorical: Sequence[int] = (),
    groups: Sequence[str] = tuple(GROUPS),
    time_limit: float = 10.0,
    rng: Rng | None = None,
) -> dict[str, float]:
    """What is known of a table before anything is tried on it, in numbers that compare across tables.

    The names are the same for every table of every kind: what makes no sense for one is NaN, and so is whatever has not
    begun when the time is up. Rows without a target are left out. Of a large table, 10,000 rows and 100 columns are
    looked at.

    Args:
        x: (n, p) array, data frame, sparse matrix or list of rows; what is no number is a category, NaN is missing.
        y: (n,) classes of any type, or numbers.
        kind: of the target; None takes numbers with fractions, or of more than 20 values, for a regression.
        categorical: numbers of columns that hold categories though they are written as numbers.
        groups: which; 'landmarkers' train small models.
        time_limit: seconds.
        rng: which rows and columns are looked at.

    Raises:
        BadExamples: an empty table, or a target of another length or without a value.
        UnknownName: no such group or kind.
        UserError: landmarkers without scikit-learn.

    >>> found = describe([[1.0, "red"], [2.0, "blue"], [3.0, "red"]], ["yes", "no", "yes"], groups=["simple"])
    >>> found["share_categorical"], found["classes"], len(found)
    (0.5, 2.0, 13)
    """
    end = time.perf_counter() + time_limit
    for group in groups:
        if group not in GROUPS:
            raise UnknownName.among("group of meta-features", group, GROUPS)
    sample = sample_of(x, y, kind=kind, categorical=categorical, rng=rng or Rng(0))
    found = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for feature in (feature for group in groups for feature in GROUPS[group]):
            value = feature(sample) if time.perf_counter() < end else math.nan
            found[feature.__name__] = value if math.isfinite(value) else math.nan
    return found
