"""What would make a judgement too good: inputs that stand on two sides, and features that know the label."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cells.names import numbered
from ..own.rows import SHOWN, Columns, Rows
from .splits import together

SAMPLE = 20_000  # rows that a feature is looked at first: what is perfect is so in any part
SURELY = 0.01  # a feature is suspected if chance would give one as good among all of them less often than this


def repeats(rows: Rows) -> Rows:
    """Says which inputs stand in more than one task (or class, where tasks are drawn), or twice in one."""
    homes, home = rows.classes if rows.tasks is None else rows.task_numbers
    label = rows.classes[1] if rows.kind == "classification" else np.unique(rows.labels, return_inverse=True)[1]
    inputs = np.unique(fingerprints(rows.inputs), return_inverse=True)[1].astype(np.int64)
    if inputs.max() + 1 == len(rows):
        return rows
    pairs = np.unique(inputs * len(homes) + home)  # each input once for each task it stands in
    often = np.bincount(pairs // len(homes)) > 1
    if often.any():
        count = int(often[inputs].sum())
        labelled = np.unique(inputs * (label.max() + 1) + label) // (label.max() + 1)
        agreeing = int((np.bincount(labelled)[often] == 1).sum())
        said = f"{count:,} rows ({often.sum():,} inputs) stand in more than one {_unit(rows)}"
        a, b, shared = _most_shared(pairs, homes)
        sets = together(home, rows, len(homes))[home]
        apart = np.bincount(np.unique(inputs * len(homes) + sets) // len(homes)) > 1
        rows = rows.saying(f"{said}; '{a}' and '{b}' share {shared:,}{_leak(rows, agreeing, int(apart.sum()))}")
    within = len(rows) - len(pairs)
    if within:
        rows = rows.saying(f"{within:,} rows repeat the input of another row of their {_unit(rows)}")
    return rows


def _leak(rows: Rows, agreeing: int, apart: int) -> str:
    """What follows from inputs that recur, of which so many have one label, and so many no group that keeps them."""
    if rows.tasks is None:
        return ": one of their labels is wrong, or an input can have several"
    if rows.groups is not None and not apart:
        return ". The groups keep all copies of each on one side of a split"
    group = "name a group column" if rows.groups is None else f"give all copies one group, which {apart:,} inputs lack"
    return (
        f". {agreeing:,} of the inputs have the same label everywhere: with one copy in training and another in the"
        f" test this is a leak; take them out, or {group}"
    )


def _unit(rows: Rows) -> str:
    return "class" if rows.tasks is None else "task"


def _most_shared(pairs: np.ndarray, homes: Sequence[str]) -> tuple[str, str, int]:
    """Of the neighbours in each input's list of tasks, the two that meet most often."""
    same = pairs[1:] // len(homes) == pairs[:-1] // len(homes)
    meets = (pairs[:-1] % len(homes))[same] * len(homes) + (pairs[1:] % len(homes))[same]
    which, counts = np.unique(meets, return_counts=True)
    most = int(which[counts.argmax()])
    return homes[most // len(homes)], homes[most % len(homes)], int(counts.max())


def fingerprints(inputs: Any) -> np.ndarray:
    """(n,) integers, equal for equal inputs and (but once in 10^7 sets of a million rows) for no others.

    Of images in files only those of the same size are read.
    """
    if isinstance(inputs, Columns):
        mixed = np.zeros(len(inputs), dtype=np.uint64)
        with np.errstate(over="ignore"):
            for i in range(len(inputs.names)):
                at = i - len(inputs.numeric_names)
                column = inputs.numeric[:, i] + 0.0 if at < 0 else inputs.categorical[:, at]  # -0 is 0
                bits = np.nan_to_num(column, nan=-math.pi).astype(np.float64).view(np.uint64)
                mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
                mixed ^= mixed >> np.uint64(32)
        return mixed
    first = inputs[0]
    if isinstance(first, str):
        return numbered(np.array(inputs, dtype=object))[1]
    if isinstance(first, Path):
        return _of_files(inputs)
    return np.array([_digest(np.asarray(x).tobytes() + repr(np.shape(x)).encode()) for x in inputs], dtype=np.int64)


def _of_files(paths: Sequence[Path]) -> np.ndarray:
    sizes = np.array([path.stat().st_size for path in paths], dtype=np.int64)
    _, which, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    return np.array(
        [
            _digest(p.read_bytes()) if counts[w] > 1 else -1 - i
            for i, (p, w) in enumerate(zip(paths, which, strict=True))
        ],
        dtype=np.int64,
    )


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") >> 1


def suspecting(rows: Rows) -> Rows:
    """Says which single features of a table give the label away in every task.

    A number does where each class has an interval of its own in every task, a word where it goes with one class, and in
    a regression a number that is a straight line of the label. All of it is likely by chance where tasks are tiny, so
    the chance of each is worked out first, over the rows that were looked at.
    """
    columns = rows.inputs
    if not isinstance(columns, Columns):
        return rows
    named = [name for i, name in enumerate(columns.names) if _gives_away(rows, i)]
    if not named:
        return rows
    return rows.saying(
        f"{', '.join(repr(name) for name in named[:SHOWN])} alone {'tell' if len(named) > 1 else 'tells'} the label in"
        " every task: is it known before the label is? If not, leave it out: it is a leak"
    )


def _gives_away(rows: Rows, i: int) -> bool:
    columns, part = rows.inputs, np.arange(len(rows))
    assert isinstance(columns, Columns)
    number = i < len(columns.numeric_names)
    values = columns.numeric[:, i] if number else columns.categorical[:, i - len(columns.numeric_names)]
    if len(rows) > SAMPLE:
        part = np.sort(np.random.default_rng(0).choice(len(rows), SAMPLE, replace=False))
    home = rows.task_numbers[1]
    if rows.kind == "regression":
        return (
            number and _straight(values[part], rows.labels[part], home[part]) and _straight(values, rows.labels, home)
        )
    label = rows.classes[1]
    perfect = _intervals if number else _pure
    chance = math.log(SURELY / len(columns.names))
    if len(part) < len(rows) and perfect(values[part], label[part], home[part]) == math.inf:
        return False
    return perfect(values, label, home) < chance


def _intervals(values: np.ndarray, label: np.ndarray, home: np.ndarray) -> float:
    """The logarithm of the chance that each class has its own interval of numbers in every task; inf: one has not."""
    order = np.lexsort((label, values, home))
    values, label, home = np.nan_to_num(values[order], nan=np.inf), label[order], home[order]
    same = home[1:] == home[:-1]
    changes = same & (label[1:] != label[:-1])
    pairs, counts = np.unique(home * (label.max() + 1) + label, return_counts=True)
    tasks, classes = np.unique(pairs // (label.max() + 1), return_counts=True)
    if (changes & (values[1:] == values[:-1])).any() or changes.sum() != (classes - 1).sum():
        return math.inf
    factorials = np.array([math.lgamma(k + 1) for k in range(len(values) + 1)])
    # The orders of a task's labels are all as likely; in so many of them each class stands together.
    return float(factorials[counts].sum() + factorials[classes].sum() - factorials[np.bincount(home)[tasks]].sum())


def _pure(codes: np.ndarray, label: np.ndarray, home: np.ndarray) -> float:
    """The logarithm of the chance that each word goes with one class in every task, about; inf: one does not."""
    cells = np.unique(home * (codes.max() + 2) + codes + 1, return_inverse=True)[1]
    if len(np.unique(cells * (label.max() + 1) + label)) > cells.max() + 1:
        return math.inf
    return float(len(codes) - cells.max() - 1) * math.log(max(np.bincount(label).max() / len(label), 1e-9))


def _straight(values: np.ndarray, labels: np.ndarray, home: np.ndarray) -> bool:
    """Whether the label is a straight line of the numbers in every task of more than three rows, and there is one."""
    counts = np.maximum(np.bincount(home), 1)

    def centred(x: np.ndarray) -> np.ndarray:
        return x - (np.bincount(home, x) / counts)[home]

    if not np.isfinite(values).all():
        return False
    a, b = centred(values), centred(labels)
    aa, bb, ab = (np.bincount(home, x) for x in (a * a, b * b, a * b))
    looked = (counts > 3) & (bb > 0)
    return bool(looked.any() and (ab**2 >= (1 - 1e-9) * aa * bb)[looked].all() and (aa > 0)[looked].all())
