"""Tasks, or the classes that tasks are drawn from, dealt to training, validation and test."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...errors import OverlappingSplits, UnknownName, UserError
from ...functional.student import t_quantile
from ..cells.names import numbered
from ..own.rows import Rows
from ..pool import SPLITS

SPREAD = 0.10  # standard deviation of accuracy from task to task that is reckoned with: common, neither good nor bad
ACCURACY = 0.80
CLAIM = 6  # tasks that a method must win, all of them, for a sign test at 5 %: 2 * 0.5^6 = 0.03, 2 * 0.5^5 = 0.06


@dataclasses.dataclass(frozen=True)
class Split:
    """Which side each task (or class) is on.

    Args:
        unit: 'task' or 'class'.
        sides: name -> 'train', 'validation' or 'test'.
        interval: half of the 95 % interval of the accuracy that is to be expected on the test tasks (see
            `expected_interval`); NaN for classes and for a regression.
        notes: what a user should know.
    """

    unit: str
    sides: dict[str, str]
    interval: float = math.nan
    notes: tuple[str, ...] = ()

    def names(self, split: str) -> tuple[str, ...]:
        """The tasks (or classes) of one side, sorted."""
        if split not in SPLITS:
            raise UnknownName.among("split", split, SPLITS)
        return tuple(sorted(name for name, side in self.sides.items() if side == split))

    def of(self, rows: Rows) -> np.ndarray:
        """(n,) the side of each row."""
        names, of = rows.task_numbers if self.unit == "task" else rows.classes
        return np.array([self.sides[name] for name in names])[of]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.names(split)):,} for {split}" for split in SPLITS)
        plural = "tasks" if self.unit == "task" else "classes"
        return "\n".join([f"split     {plural}: {counts}", *(f"note      {note}" for note in self.notes)])


def split_rows(rows: Rows, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int = 0) -> Split:
    """The tasks of the rows dealt to three sides; the classes, where tasks are drawn from them.

    Tasks (or classes) that share a group stay together. Of groups of different size the largest are dealt first, so
    that the fractions hold as well as they can; those of one size in an order that the seed alone decides.

    Args:
        rows: what was read.
        fractions: of the tasks that go to training, validation and test; a side with 0 gets none.
        seed: another one, another split.

    Raises:
        OverlappingSplits: fewer groups than sides.
        UserError: fractions that are negative or all zero.

    >>> from ..own.arrays import rows_from_arrays
    >>> x = np.arange(40.0)[:, None]
    >>> print(split_rows(rows_from_arrays(x, [0, 1] * 20, groups=np.repeat(range(10), 4))))
    split     tasks: 6 for train, 2 for validation, 2 for test
    note      2 test tasks are too few for a claim: it takes 6 to win all of for a sign test at 5 %
    note      expect ± 100 points (95 %) on the test tasks, if accuracy differs by 10 points from task to task
    """
    wanted = np.asarray(fractions, dtype=float)
    if wanted.shape != (3,) or not np.isfinite(wanted).all() or (wanted < 0).any() or not wanted.sum():
        raise UserError(f"Fractions are three numbers, none negative and not all zero; got {fractions}.")
    unit = "class" if rows.tasks is None else "task"
    names, of = rows.classes if rows.tasks is None else rows.task_numbers
    home = together(of, rows, len(names))
    sizes = np.bincount(home)
    if len(sizes) < (wanted > 0).sum():
        linked = f" in {len(sizes)} groups that share none" if rows.groups is not None else ""
        raise OverlappingSplits(
            f"{len(names)} {'classes' if unit == 'class' else 'tasks'}{linked} cannot fill {(wanted > 0).sum()} sides"
            " with one each; bring more, set a fraction to 0" + (", or leave the group out." if linked else ".")
        )
    side = _dealt(sizes, wanted / wanted.sum(), seed)
    sides = {name: SPLITS[side[home[i]]] for i, name in enumerate(names)}
    split = Split(unit, sides)
    tests = [i for i, name in enumerate(names) if sides[name] == "test"]
    rooms = len(set(home[tests].tolist()))  # what is independent of each other
    half = math.nan
    if unit == "task" and rows.kind == "classification" and tests:
        half = expected_interval(rooms, float(np.median(np.bincount(of, minlength=len(names))[tests])) / 2)
    return dataclasses.replace(split, interval=half, notes=_said(rows, unit, rooms, half))


def expected_interval(tasks: int, queries: float, *, spread: float = SPREAD, accuracy: float = ACCURACY) -> float:
    """Half of the 95 % interval of a mean accuracy over so many test tasks, before any of them is touched.

    It is t * sqrt(spread^2 + p (1 - p) / q) / sqrt(n), at most 1: t is the 97.5 % point of Student's distribution with
    n - 1 degrees of freedom, p the accuracy, so that p (1 - p) / q is the binomial variance of a task's accuracy over q
    queries, and `spread` the standard deviation of the tasks' own accuracies. NaN for fewer than two tasks.

    >>> round(expected_interval(12, 250), 3)
    0.066
    """
    if tasks < 2:
        return math.nan
    deviation = math.sqrt(spread**2 + accuracy * (1 - accuracy) / max(queries, 1))
    return min(t_quantile(0.95, tasks - 1) * deviation / math.sqrt(tasks), 1.0)


def together(of: np.ndarray, rows: Rows, count: int) -> np.ndarray:
    """(count,) the number of the set that each task (or class) is dealt with: all that groups link, in a chain too."""
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    if rows.groups is not None:
        group = numbered(rows.groups)[1]
        pairs = np.unique(group * count + of)
        for left, right in zip(pairs[:-1].tolist(), pairs[1:].tolist(), strict=True):
            if left // count == right // count:
                parent[root(right % count)] = root(left % count)
    return np.unique([root(i) for i in range(count)], return_inverse=True)[1]


def _dealt(sizes: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """(sets,) the side of each: the one that lacks most, but none is left empty."""
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking, empty = wanted * sizes.sum(), wanted > 0
    side = np.zeros(len(sizes), dtype=np.int64)
    for dealt, i in enumerate(order.tolist()):
        open_ = empty if len(order) - dealt == empty.sum() else wanted > 0
        side[i] = int(np.argmax(np.where(open_, lacking, -np.inf)))
        lacking[side[i]] -= sizes[i]
        empty[side[i]] = False
    return side


def _said(rows: Rows, unit: str, tests: int, half: float) -> tuple[str, ...]:
    one, several = {"task": ("test task", "test tasks"), "class": ("test class", "test classes")}[unit]
    if rows.groups is not None:
        one, several = "independent group in the test", "independent groups in the test"
    what, notes = one if tests == 1 else several, tuple[str, ...]()
    if 0 < tests < CLAIM:
        few = f"{tests} {what} {'is' if tests == 1 else 'are'} too few for a claim"
        notes = (f"{few}: it takes {CLAIM} to win all of for a sign test at 5 %",)
    if not math.isnan(half):
        points = f"{100 * SPREAD:.0f} points from task to task"
        shown = f"{100 * half:.{0 if half >= 0.01 else 1}f}"
        notes += (f"expect ± {shown} points (95 %) on the test tasks, if accuracy differs by {points}",)
    elif unit == "class" and tests:
        notes += (
            f"any number of tasks can be drawn from {tests:,} {what}, and an interval over them says nothing of classes"
            " beyond these",
        )
    elif unit == "task" and tests > 1:
        widths = t_quantile(0.95, tests - 1) / math.sqrt(tests)
        notes += (f"expect ± {widths:.2f} (95 %) times the standard deviation of the error from task to task",)
    return notes
