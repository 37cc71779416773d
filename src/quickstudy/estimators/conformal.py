"""Sets of answers that hold the right one with a chosen probability, whatever the learner and the data.

Examples that a state has not seen are scored by it, and so is every possible answer to a query; an answer is kept
unless too many of the examples fit better than it does. Where the examples come from decides what is proved, if they
and the query are exchangeable (drawn alike and independently, say). The right answer is held with probability at least

    level                           by examples that were set aside: split conformal prediction (Vovk et al. 2005,
                                    doi:10.1007/b106715; Lei et al. 2018, arXiv:1604.04173);
    2 level - 1                     by the support examples, each scored by a state made without it: jackknife+ (Barber
                                    et al. 2021, arXiv:1905.02928; for classes Romano et al. 2020, arXiv:2006.02544);
    2 level - 1 - 1 / (folds + 1)   if they were left out in `folds` parts of equal size: CV+ (the same papers).

The last two are close to `level` in practice, and spend no example; for them the learner must be indifferent to the
order of examples. All of it holds over the draw of examples and query together: on average over tasks, not in every
one. With n < level / (1 - level) examples nothing can be excluded: a set is every class, an interval the whole line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..errors import UserError


def needed(level: float, n: int) -> int:
    """How many of n examples must fit better than an answer for it to be left out.

    Raises:
        UserError: a level that is not between 0 and 1.

    >>> needed(0.9, 8), needed(0.9, 9), needed(0.9, 20)
    (9, 9, 19)
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}; it is the probability to hold the right answer, between 0 and 1.")
    return math.ceil(level * (n + 1) - 1e-9)  # 0.55 * 20 is a little more than 11


def label_sets(parts: Iterable[tuple[np.ndarray, np.ndarray]], level: float, shape: tuple[int, int]) -> np.ndarray:
    """(q, classes) whether a class is in the set of a query.

    Args:
        parts: for each state, the scores of the m examples that it has not seen (m,), and of the queries' possible
            answers (q, classes); a higher score is a worse fit.
        level: probability that is asked for.
        shape: (q, classes).
    """
    better, n = np.zeros(shape, dtype=np.int64), 0
    for own, asked in parts:
        better += np.searchsorted(np.sort(own), asked, side="left")
        n += len(own)
    return better < needed(level, n)


def interval(centres: np.ndarray, radii: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (q, d) of intervals.

    Args:
        centres: (n, q, d) predictions of the queries by a state that has not seen example 1..n.
        radii: (n, q, d) how wrong that state was on its example, in the unit of the query's target.
        level: probability that is asked for, for each of d targets by itself.
    """
    n = len(centres)
    k = needed(level, n)
    if k > n:
        infinite = np.full(centres.shape[1:], np.inf)
        return -infinite, infinite
    lower = np.partition(centres - radii, n - k, axis=0)[n - k]
    return lower, np.partition(centres + radii, k - 1, axis=0)[k - 1]
