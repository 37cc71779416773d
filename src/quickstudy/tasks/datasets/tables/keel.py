"""Small tables of the KEEL repository (Alcala-Fdez et al. 2011): every table is a task of its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from ....errors import UserError
from ...class_groups import ClassGroups
from ..brought import brought
from ..download import read_arrays


@dataclasses.dataclass(frozen=True)
class Tables:
    """Tables as they were read.

    Args:
        names: of the tables.
        x: one a table, (rows, columns) float32; categories are whole numbers.
        y: one a table, (rows,) classes 0, 1, ...
        categorical: one a table, (columns,) bool.
    """

    names: tuple[str, ...]
    x: tuple[np.ndarray, ...]
    y: tuple[np.ndarray, ...]
    categorical: tuple[np.ndarray, ...]

    @classmethod
    def read(cls) -> Tables:
        """All of them.

        Raises:
            MissingData: they are not on this machine.
            BadFile: the file is damaged.
        """
        (path,) = brought("keel")
        names = read_arrays(path, "names")["names"].tolist()
        parts = ("x", "y", "categorical")
        found = read_arrays(path, *(f"{name}/{part}" for name in names for part in parts))
        x, y, categorical = (tuple(found[f"{name}/{part}"] for name in names) for part in parts)
        return cls(tuple(names), x, y, tuple(c.astype(bool) for c in categorical))


def keel(
    *,
    fold: int = 0,
    folds: int = 5,
    shots: int = 5,
    queries: int | None = 15,
    in_turn: bool = False,
    seed: int = 0,
    split: str = "train",
) -> ClassGroups:
    """22 tables of 2 to 15 classes, 3 to 90 columns and 208 to 19,020 rows; whole tables are left out.

    Values are as measured: no table is scaled by rows that a learner is not given. The description of a task is the
    number of its columns, and of its categorical ones; columns beyond them are 0. Classes are a table's own.

    Args:
        fold: which part of the tables tests; the next one validates, all others train.
        folds: parts that the tables are dealt to, in an order that no option changes.
        shots: rows of each class.
        queries: rows of each class; None asks for all others.
        in_turn: every table equally often.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Raises:
        MissingData: the tables are not on this machine.
        UserError: fewer than three folds, more than there are tables, or a fold that there is not.

    >>> keel().sample(0, 2).support.x.shape[-1]  # doctest: +SKIP
    90
    """
    tables = Tables.read()
    if not 3 <= folds <= len(tables.names) or not 0 <= fold < folds:
        raise UserError(f"fold is {fold} of {folds}; there are 3 to {len(tables.names)} folds, numbered from 0.")
    part = np.empty(len(tables.names), dtype=np.int64)
    part[np.random.default_rng(0).permutation(len(part))] = np.arange(len(part)) % folds
    width = max(x.shape[1] for x in tables.x)
    x = [np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in tables.x]
    known = [[x.shape[1], int(c.sum())] for x, c in zip(tables.x, tables.categorical, strict=True)]
    return ClassGroups(
        f"keel, fold {fold} of {folds}",
        torch.from_numpy(np.concatenate(x).astype(np.float32)),
        torch.from_numpy(np.concatenate(tables.y).astype(np.int64)),
        torch.from_numpy(np.arange(len(x)).repeat([len(y) for y in tables.y])),
        tuple({0: "test", 1: "validation"}.get((p - fold) % folds, "train") for p in part.tolist()),
        classes=tuple(str(c) for c in range(1 + max(int(y.max()) for y in tables.y))),
        labels="local",
        description=torch.tensor(known, dtype=torch.float32),
        shots=shots,
        queries=queries,
        in_turn=in_turn,
        seed=seed,
        split=split,
    )
