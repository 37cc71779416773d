"""How the rows of many tasks are dealt at once, each task by numbers of its own."""

from __future__ import annotations

import numpy as np


def in_random_order(uniform: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each line of row numbers in random order, what is missing (-1) at the end.

    >>> in_random_order(np.array([[0.3, 0.1, 0.2]]), np.array([[7, -1, 9]]))
    array([[ 9,  7, -1]])
    """
    return np.take_along_axis(rows, np.argsort(np.where(rows < 0, 2.0, uniform), axis=1, kind="stable"), axis=1)


def proportional(total: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whole numbers in the proportions of `sizes` with the given totals, at least 1 where there is anything.

    Largest remainders: what rounding down leaves over goes where most is missing; what the least share of 1 takes too
    much comes from where most is to spare.

    Args:
        total: (groups,) each at least as many as its sizes that are not 0.
        sizes: (groups, classes).

    >>> proportional(np.array([16, 16]), np.array([[30, 70, 0], [1, 97, 2]]))
    array([[ 5, 11,  0],
           [ 1, 14,  1]])
    """
    share = total[:, None] * sizes / np.maximum(sizes.sum(1, keepdims=True), 1)
    dealt = np.where(sizes > 0, np.maximum(np.floor(share), 1), 0).astype(np.int64)
    lines = np.arange(len(sizes))
    for _ in range(sizes.shape[1]):
        lack = total - dealt.sum(1)
        poorest = np.where(sizes > 0, share - dealt, -np.inf).argmax(1)
        richest = np.where(dealt > 1, dealt - share, -np.inf).argmax(1)
        dealt[lines, poorest] += lack > 0
        dealt[lines, richest] -= lack < 0
    return dealt
