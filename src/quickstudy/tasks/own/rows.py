"""What was read from a user's files: rows with a label each, and an account of what was understood."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import BadExamples, NotEnoughExamples, UnknownName
from ..cells.names import numbered

KINDS = ("classification", "regression")
MODALITIES = ("image", "text", "molecule", "features", "series")
SHOWN = 5  # names or examples that one line of an account lists


@dataclasses.dataclass(frozen=True)
class Dropped:
    """What was left out for one reason.

    Args:
        reason: why, as the end of the sentence 'left out: ...'.
        count: how many rows, files or columns.
        examples: some of them, by name or place.
    """

    reason: str
    count: int
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, reason: str, examples: Sequence[object]) -> Dropped:
        """All that were left out for a reason, of which a few are kept as examples."""
        return cls(reason, len(examples), tuple(str(e) for e in examples[:SHOWN]))


@dataclasses.dataclass(frozen=True)
class Columns:
    """The features of a table, by type; one row of `numeric` and of `categorical` belong together.

    Args:
        numeric: (n, a) of a floating type, NaN where a value is missing.
        numeric_names: a names.
        categorical: (n, b) int32 codes, -1 where a value is missing.
        categorical_names: b names.
        categories: for each categorical column what its codes stand for, sorted.

    Raises:
        BadExamples: shapes or types that do not fit together.

    >>> Columns(np.zeros((2, 1)), ("age",), np.array([[0], [-1]], np.int32), ("colour",), (("red",),))[[1]].categorical
    array([[-1]], dtype=int32)
    """

    numeric: np.ndarray
    numeric_names: tuple[str, ...]
    categorical: np.ndarray
    categorical_names: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        shapes = self.numeric.shape, self.categorical.shape
        a, b = len(self.numeric_names), len(self.categorical_names)
        if shapes[0][1:] != (a,) or shapes[1][1:] != (b,) or shapes[0][0] != shapes[1][0] or len(self.categories) != b:
            raise BadExamples(
                f"{a} numeric and {b} categorical columns need arrays of (rows, {a}) and (rows, {b}), and {b} lists of"
                f" categories; got {shapes[0]}, {shapes[1]} and {len(self.categories)}."
            )
        if self.numeric.dtype.kind != "f" or self.categorical.dtype.kind != "i":
            raise BadExamples(
                f"Numeric columns are of a floating type, codes are integers; got {self.numeric.dtype} and"
                f" {self.categorical.dtype}."
            )

    def __len__(self) -> int:
        return len(self.numeric)

    def __getitem__(self, rows: Any) -> Columns:
        """Some rows, by their numbers, a mask or a slice."""
        return dataclasses.replace(self, numeric=self.numeric[rows], categorical=self.categorical[rows])

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the numeric ones first."""
        return self.numeric_names + self.categorical_names


@dataclasses.dataclass(frozen=True)
class Rows:
    """Everything that was read, raw: encoders make tensors of the inputs.

    Args:
        name: what results call it.
        modality: 'image', 'text', 'molecule', 'features' or 'series'.
        inputs: n of them. image: paths, or an array (n, channels, height, width); text, molecule: strings; series:
            (length, channels) float32 arrays, NaN where a value is missing; features: `Columns`.
        labels: (n,) strings for a classification, float64 for a regression.
        kind: 'classification' or 'regression'.
        tasks: (n,) strings, the task of each row; None: tasks are drawn from the classes.
        dropped: what was left out.
        notes: what was found out and a user should know.
        groups: (n,) strings: rows of one group never stand on two sides of a split; None where nobody named any.

    Raises:
        BadExamples: parts that do not fit together.
        NotEnoughExamples: there is no row.
    """

    name: str
    modality: str
    inputs: Any
    labels: np.ndarray
    kind: str
    tasks: np.ndarray | None
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownName.among("kind of label", self.kind, KINDS)
        if self.modality not in MODALITIES:
            raise UnknownName.among("modality", self.modality, MODALITIES)
        n = len(self.inputs)
        for what, values in (("label", self.labels), ("task", self.tasks), ("group", self.groups)):
            if values is not None and values.shape != (n,):
                raise BadExamples(f"'{self.name}' has {n} inputs, but {what}s of shape {values.shape}; give one a row.")
        if not n:
            raise NotEnoughExamples(f"Nothing is left of '{self.name}'." + "".join(f" {line}" for line in self._left()))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: np.ndarray) -> Rows:
        """Some rows, by their numbers or a mask."""
        at = np.flatnonzero(rows) if rows.dtype == bool else rows
        listed = isinstance(self.inputs, list | tuple)
        return dataclasses.replace(
            self,
            inputs=[self.inputs[i] for i in at.tolist()] if listed else self.inputs[at],
            labels=self.labels[at],
            tasks=None if self.tasks is None else self.tasks[at],
            groups=None if self.groups is None else self.groups[at],
        )

    def without(self, out: np.ndarray, reason: str, examples: Sequence[object]) -> Rows:
        """The rows but those of a mask, and a line in the account; itself where the mask is empty."""
        if not out.any():
            return self
        left = Dropped(reason, int(out.sum()), tuple(str(e) for e in examples[:SHOWN]))
        return dataclasses.replace(self, dropped=(*self.dropped, left))[~out]

    def saying(self, *notes: str) -> Rows:
        """The same rows with more to say about them."""
        return dataclasses.replace(self, notes=(*self.notes, *notes))

    @functools.cached_property
    def classes(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The names of the classes, sorted, and the number of each row's; none for a regression."""
        return numbered(self.labels) if self.kind == "classification" else ((), np.zeros(len(self), dtype=np.int64))

    @functools.cached_property
    def task_numbers(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The names of the tasks, sorted, and the number of each row's; none where tasks are drawn."""
        return numbered(self.tasks) if self.tasks is not None else ((), np.zeros(len(self), dtype=np.int64))

    def account(self) -> str:
        """What was understood, a line or a few for each subject."""
        lines = [f"{self.name}: {len(self):,} rows of {self.modality}, a {self.kind}"]
        if isinstance(self.inputs, Columns):
            a, b = len(self.inputs.numeric_names), len(self.inputs.categorical_names)
            lines.append(f"features  {a} numeric, {b} categorical: {_some(self.inputs.names)}")
        if self.tasks is None:
            lines.append("tasks     drawn from the classes")
        else:
            names, of = self.task_numbers
            lines.append(f"tasks     {len(names):,}, {_sizes(of, len(names))}: {_some(names)}")
        lines.append(self._labels_line())
        lines += [f"left out  {line}" for line in self._left()]
        lines += [f"note      {note}" for note in self.notes]
        return "\n".join(lines)

    __str__ = account

    def _labels_line(self) -> str:
        if self.kind == "regression":
            low, middle, high = np.quantile(self.labels, (0.0, 0.5, 1.0))
            return f"label     {low:g} to {high:g}, median {middle:g}"
        names, of = self.classes
        counts = np.bincount(of, minlength=len(names))
        share = counts.max() / len(self)
        most = names[int(counts.argmax())]
        return f"classes   {len(names):,}, {_sizes(of, len(names))}; most often '{most}' ({share:.0%}): {_some(names)}"

    def _left(self) -> list[str]:
        return [
            f"{d.count:,}: {d.reason}"
            + (f" ({', '.join(d.examples)}{', ...' * (d.count > len(d.examples))})") * bool(d.examples)
            for d in self.dropped
        ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def _sizes(of: np.ndarray, count: int) -> str:
    """How many rows the smallest, the median and the largest have."""
    low, middle, high = np.quantile(np.bincount(of, minlength=count), (0.0, 0.5, 1.0))
    return f"of {low:,.0f} to {high:,.0f} rows (median {middle:,.0f})"
