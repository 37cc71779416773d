"""Which examples are held out together: by class, by group or by time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from ...errors import NotEnoughExamples, UserError

Split = tuple[np.ndarray, np.ndarray]  # rows to learn from, rows held out


def splits_of(
    y: np.ndarray, folds: int = 5, *, classes: bool, groups: Any = None, time: Any = None, seed: int = 0
) -> list[Split]:
    """`folds` pairs of row numbers, those to learn from and those held out; fewer if there is too little to hold out.

    Of rows, each is held out once and classes keep their proportions. Of groups, each is held out as a whole. In time,
    a block is held out of what came before it, so the first block never is.

    Args:
        y: (n,) targets or classes.
        folds: 2 or more.
        classes: whether y are classes.
        groups: (n,) what must not stand on both sides: a patient, a site.
        time: (n,) when each row was measured, anything that can be sorted; rows of one time stay together.
        seed: of the order in which rows are dealt.

    Raises:
        UserError: fewer than 2 folds, groups and time at once, or arrays of another length than y.
        NotEnoughExamples: fewer than 2 rows, groups or times.

    >>> [held.tolist() for _, held in splits_of(np.zeros(6), 3, classes=False, time=[0, 0, 1, 1, 2, 2])]
    [[2, 3], [4, 5]]
    """
    if folds < 2:
        raise UserError(f"folds is {folds}; examples are held out in 2 folds or more.")
    if groups is not None and time is not None:
        raise UserError("Folds are made by groups or by time, not by both; give one of them.")
    key = groups if groups is not None else time
    if key is not None and len(key) != len(y):
        raise UserError(f"There are {len(y)} examples, but {len(key)} {'groups' if time is None else 'times'}.")
    if time is not None:
        return _in_time(np.asarray(time), folds)
    codes = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    units = int(codes.max(initial=-1)) + 1
    if units < 2:
        raise NotEnoughExamples(f"Nothing can be held out of {units} {'example' if groups is None else 'group'}.")
    splitter, kinds = _splitter(np.asarray(y), min(folds, units), classes, groups is not None, seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # told from y, and legal
        return list(splitter.split(np.zeros(len(y)), kinds, codes if groups is not None else None))


def _splitter(y: np.ndarray, folds: int, classes: bool, grouped: bool, seed: int) -> tuple[Any, np.ndarray]:
    shuffled = {"shuffle": True, "random_state": seed}
    if not classes:
        return (GroupKFold if grouped else KFold)(folds, **shuffled), y
    _, kinds, counts = np.unique(y, return_inverse=True, return_counts=True)
    folds = max(2, min(folds, int(counts.max())))
    if counts.max() < 2:  # no class has two examples, so no proportion can be kept
        return KFold(folds, **shuffled), kinds
    return (StratifiedGroupKFold if grouped else StratifiedKFold)(folds, **shuffled), kinds


def _in_time(time: np.ndarray, folds: int) -> list[Split]:
    moments, number = np.unique(time, return_inverse=True)
    if len(moments) < 2:
        raise NotEnoughExamples("All examples are of one time, so none came before another.")
    blocks = TimeSeriesSplit(min(folds, len(moments) - 1)).split(moments)
    return [(np.flatnonzero(np.isin(number, before)), np.flatnonzero(np.isin(number, then))) for before, then in blocks]
