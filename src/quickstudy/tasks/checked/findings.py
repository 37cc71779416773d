"""What rows of any kind are looked over for before anybody learns from them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ...errors import BadExamples, NotEnoughExamples, UnknownName
from ..own.rows import KINDS, SHOWN, Columns, Rows
from .leaks import repeats, suspecting

MANY = 20  # a label with more different numbers than these is measured, not named


def kind_of(names: np.ndarray, numbers: np.ndarray | None, kind: str | None, tasks: bool) -> tuple[str, str]:
    """Whether labels are classes or measured, and a sentence that says why.

    Args:
        names: (n,) the labels as strings.
        numbers: (n,) the same as numbers, or None where one of them is none.
        kind: what the user says, or None.
        tasks: whether rows have a task; without, tasks are drawn from classes.

    Raises:
        BadExamples: a regression of labels that are no numbers, or without tasks.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownName.among("kind of label", kind, KINDS)
    distinct = len(set(names.tolist()))
    whole = numbers is not None and bool((numbers == np.floor(numbers)).all())
    found = "regression" if numbers is not None and distinct > MANY and (tasks or not whole) else "classification"
    if (kind or found) == "regression" and numbers is None:
        raise BadExamples(f"A regression needs numbers, but {distinct:,} different labels hold words; leave kind out.")
    if (kind or found) == "regression" and not tasks:
        raise BadExamples(
            f"The label is a number ({distinct:,} different values), and only classes can be drawn into tasks; name the"
            " column that says which task a row belongs to, or say kind='classification'."
        )
    if kind is not None:
        return kind, f"the label has {distinct:,} different values, and is a {kind} as you said"
    number = "a number" if numbers is not None else "a word"
    wrong = "classification" if found == "regression" else "regression"
    other = f" (say kind='{wrong}' if that is wrong)" if numbers is not None and tasks else ""
    return found, f"the label is {number} with {distinct:,} different values: a {found}{other}"


def settled(rows: Rows) -> Rows:
    """The rows that something can be learned from, with what a user should know about them.

    Raises:
        NotEnoughExamples: fewer than two classes, or no task, are left.
    """
    return suspecting(repeats(_constant(_alike(_enough(rows)))))


def _enough(rows: Rows) -> Rows:
    """Without classes that cannot have a support and a query example, and tasks that have nothing to tell apart."""
    names, of = rows.classes
    if rows.tasks is None:
        counts = np.bincount(of, minlength=len(names))
        if len(names) < 2 or (counts > 1).sum() < 2:
            raise NotEnoughExamples(
                f"Tasks are drawn from classes, but '{rows.name}' has {(counts > 1).sum()} with two examples or more"
                f" (of {len(names):,}); at least 2 are needed, and many more for training to carry over to new ones."
            )
        single = [names[i] for i in np.flatnonzero(counts == 1)[:SHOWN]]
        return rows.without(counts[of] == 1, "classes with one example, which leaves none to ask about", single)
    tasks, home = rows.task_numbers
    if rows.kind == "regression":
        few = np.bincount(home, minlength=len(tasks)) < 2
        reason = "rows alone in their task"
    else:
        pairs, counts = np.unique(home * len(names) + of, return_counts=True)
        few = np.bincount(pairs // len(names), minlength=len(tasks)) < 2
        reason = "rows of tasks with one class, where there is nothing to tell apart"
        if few.all():
            only = names[of[int(np.argmax(home == 0))]]
            raise NotEnoughExamples(
                f"Each of the {len(tasks):,} tasks of '{rows.name}' has one class only ('{tasks[0]}': '{only}'); is"
                " another column the label, or should tasks be drawn from the classes (no task column)?"
            )
        lonely = pairs[counts == 1]
        if len(lonely):
            task, name = tasks[lonely[0] // len(names)], names[lonely[0] % len(names)]
            rows = rows.saying(f"{len(lonely):,} classes have one example in their task, '{name}' in '{task}' for one")
    rows = rows.without(few[home], reason, [tasks[i] for i in np.flatnonzero(few)[:SHOWN]])
    left = int((~few).sum())
    return rows if left > 1 else rows.saying("there is one task, and learning to learn needs many")


def _alike(rows: Rows) -> Rows:
    """Says which classes differ only by capital letters."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in rows.classes[0]:
        spellings[name.casefold()].append(name)
    pairs = [f"'{a}' and '{b}'" for a, b, *_ in (s for s in spellings.values() if len(s) > 1)]
    if not pairs:
        return rows
    return rows.saying(f"{len(pairs):,} classes differ from another by capital letters alone: {', '.join(pairs[:3])}")


def _constant(rows: Rows) -> Rows:
    """Says which features are the same in all rows that are left."""
    columns = rows.inputs
    if not isinstance(columns, Columns):
        return rows
    values = [*columns.numeric.T, *columns.categorical.T]
    named = [
        f"'{name}'"
        for name, x in zip(columns.names, values, strict=True)
        if (x == x[0]).all() or (np.isnan(x[0]) and np.isnan(x).all())
    ]
    if not named:
        return rows
    more = ", ..." * (len(named) > SHOWN)
    return rows.saying(f"{len(named):,} features are the same in every row: {', '.join(named[:SHOWN])}{more}")
