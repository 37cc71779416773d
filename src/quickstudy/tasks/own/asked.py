"""A few rows of one task: what a learner is to learn from, or is asked about; and how they are read from a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadExamples, UserError
from ..cells.names import MISSING, columns_in, joined, names_of, numbered, texts_of
from ..cells.numbers import numbers_of
from ..cells.table import Table, column_names, load
from .rows import SHOWN, Columns, Dropped
from .series import channels_of, in_order
from .tables import label_numbers, labelled

# What holds the inputs of a table, by modality: role -> what stands there. Features are all columns that an encoder
# knows, by their names.
ROLES = {
    "text": {"text": "texts"},
    "molecule": {"smiles": "molecules in SMILES"},
    "image": {"image": "paths of images"},
    "features": {},
    "series": {"id_": "names of series", "when": "times"},
}
OPTION = {"id_": "id"}  # what a role is called where it is not called by its key


@dataclasses.dataclass(frozen=True)
class Asked:
    """Rows of one task, raw.

    Unlike `Rows` they may be few, of one class or without labels, and nothing is found out about them that a bundle
    knows already.

    Args:
        inputs: n of them, as in `Rows`.
        places: where each stands: a file, a row, a series.
        names: what to call each in an answer.
        labels: (n,) strings, '' where unknown, or float64, NaN where unknown; None where no label is known.
        notes: what was left out, and what else a user should know.
    """

    inputs: Any
    places: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def saying(self, *notes: str) -> Asked:
        """The same rows with more to say about them."""
        return dataclasses.replace(self, notes=(*self.notes, *notes))


@dataclasses.dataclass(frozen=True)
class TableReader:
    """Reads the rows of one task from a CSV or Parquet file.

    Unlike `read_table` it finds out nothing about types and kinds: few rows would tell too little.

    Args:
        path: of the file.
        modality: what the rows are to be read as.
        kind: 'classification' or 'regression'.
        columns: role -> column, or several.
        support: whether there have to be labels.
        label_wanted: whether the column of labels has to be there all the same.
    """

    path: Path
    modality: str
    kind: str
    columns: Mapping[str, Any]
    support: bool
    label_wanted: bool

    def read(self, features: tuple[Sequence[str], Sequence[str]]) -> Asked:
        """The rows; `features` names the numeric and the categorical columns, where these are the modality."""
        there = column_names(self.path)
        roles = {role: self._column(role, what, there) for role, what in ROLES[self.modality].items()}
        label = self._column("label", "the labels", there) if self.support else self.columns.get("label")
        if label not in there and not (self.support or self.label_wanted):
            label = None
        others = [name for role in ("task", "group") for name in columns_in(self.columns.get(role)) if name in there]
        values = columns_in(self.columns.get("values"), commas=True)
        taken = [*others, *([] if label is None else [label])]
        needed = [*dict.fromkeys([*taken, *roles.values(), *values, *features[0], *features[1]])]
        table = load(self.path, needed, only=self.modality != "series" or bool(values))
        notes = list(table.notes)
        full = [roles["id_"]] if "id_" in roles else []
        full += [label] if self.support and label is not None else []
        if full:
            table, dropped, _ = labelled(table, full)
            notes += map(_left_out, dropped)
        if self.support:
            self._one_task(table)
        labels = None if label is None else self._labels(table, label)
        if self.modality == "series":
            return self._series(table, labels, roles, values, taken, notes)
        if self.modality == "features":
            places = tuple(map(table.row, range(len(table.data))))
            return Asked(self._features(table, features, notes), places, places, labels, tuple(notes))
        return self._cells(table, next(iter(roles.values())), labels, notes)

    def _column(self, role: str, what: str, there: Sequence[str]) -> str:
        if role not in self.columns:
            option, named = OPTION.get(role, role), ", ".join(f"'{name}'" for name in there)
            raise UserError(f"Which column of {self.path} holds {what}? Give it as {option}; there are {named}.")
        return str(self.columns[role])

    def _one_task(self, table: Table) -> None:
        tasks = [name for name in columns_in(self.columns.get("task")) if name in table.data.column_names]
        named = [names_of(table.data[task], task) for task in tasks]
        known = ~np.any([empty for _, empty in named], axis=0)
        several = sorted(set(joined([names for names, _ in named])[known].tolist())) if tasks else []
        if len(several) > 1:
            raise UserError(
                f"{self.path} holds rows of {len(several):,} tasks ('{' / '.join(tasks)}':"
                f" {', '.join(several[:SHOWN])}), and one task is learned at a time; keep the rows of one."
            )

    def _labels(self, table: Table, label: str) -> np.ndarray | None:
        """(rows,) labels as far as they are known; None where none is."""
        names, empty = names_of(table.data[label], label)
        if empty.all():
            return None
        if self.kind == "classification":
            return np.where(empty, "", names)
        given = table if not empty.any() else table.keeping(~empty)
        numbers, _ = label_numbers(given, label, "regression")
        labels = np.full(len(names), np.nan)
        labels[~empty] = numbers
        return labels

    def _cells(self, table: Table, column: str, labels: np.ndarray | None, notes: Sequence[str]) -> Asked:
        """Texts, molecules, or images by their paths from the folder of the file on."""
        cells = [(cell or "").strip() for cell in texts_of(table.data[column], column).to_pylist()]
        places = tuple(map(table.row, range(len(cells))))
        empty = [place for place, cell in zip(places, cells, strict=True) if not cell]
        if empty:
            raise BadExamples(
                f"{len(empty):,} of {len(cells):,} rows of {self.path} have nothing in '{column}':"
                f" {', '.join(empty[:SHOWN])}. Leave them out."
            )
        if self.modality == "image":
            paths = [self.path.parent / cell for cell in cells]
            return Asked(paths, tuple(map(str, paths)), tuple(cells), labels, tuple(notes))
        return Asked(cells, places, tuple(cells), labels, tuple(notes))

    def _features(self, table: Table, features: tuple[Sequence[str], Sequence[str]], notes: list[str]) -> Columns:
        """The columns by the types that they had when the bundle was made, whatever these few rows look like."""
        numeric = [self._numbers(table, name, notes) for name in features[0]]
        codes, categories = [], []
        for name in features[1]:
            cells = [(cell or "").strip() for cell in texts_of(table.data[name], name).to_pylist()]
            names = tuple(sorted(set(cells) - {*MISSING, "?"}))
            number = {word: i for i, word in enumerate(names)}
            codes.append([number.get(cell, -1) for cell in cells])
            categories.append(names)
        n = len(table.data)
        return Columns(
            np.array(numeric).T if numeric else np.zeros((n, 0)),
            tuple(features[0]),
            np.array(codes, dtype=np.int32).T if codes else np.zeros((n, 0), dtype=np.int32),
            tuple(features[1]),
            tuple(categories),
        )

    def _numbers(self, table: Table, name: str, notes: list[str]) -> np.ndarray:
        numbers, empty, words = numbers_of(table.data[name], table.decimal)
        if words.any():
            row = int(words.argmax())
            cell = f"'{name}' holds '{table.data[name][row].as_py()}' in {table.row(row)} of {self.path}"
            if (words | empty).all():
                raise BadExamples(f"{cell}, and no number anywhere; the bundle was made for numbers in this column.")
            notes.append(f"{cell}; {words.sum():,} words in a column of numbers count as missing")
        return numbers

    def _series(
        self,
        table: Table,
        labels: np.ndarray | None,
        roles: Mapping[str, str],
        values: Sequence[str],
        others: Sequence[str],
        notes: list[str],
    ) -> Asked:
        named, taken = names_of(table.data[roles["id_"]], roles["id_"])[0], {*roles.values(), *others}
        when, _, _ = numbers_of(table.data[roles["when"]], table.decimal)
        if np.isnan(when).all():
            raise BadExamples(
                f"The column '{roles['when']}' of {self.path} holds no number and no date to sort rows by."
            )
        free = [column for column in table.data.column_names if column not in taken]
        channels, _ = channels_of(table, values or free, not values)
        if not values and len(channels) > 1:
            notes.append(f"channels are taken in the order of the file: {', '.join(channels)}")
        names, of = numbered(named)
        order, left, said = in_order(table, of, when, names)
        notes += [*map(_left_out, left), *said]
        starts = np.flatnonzero(np.diff(of[order], prepend=-1))
        each = tuple(names[i] for i in of[order[starts]].tolist())
        stacked = np.stack(list(channels.values()), 1).astype(np.float32)[order]
        inputs = np.split(stacked, starts[1:])
        if labels is not None:
            for name, of_one in zip(each, np.split(labels[order], starts[1:]), strict=True):
                if len(set(of_one.astype(str).tolist())) > 1:
                    raise BadExamples(f"The series '{name}' of {self.path} has more than one label; give it one.")
            labels = labels[order[starts]]
        return Asked(inputs, tuple(f"series '{name}'" for name in each), each, labels, tuple(notes))


def _left_out(what: Dropped) -> str:
    return f"left out {what.count:,} {what.reason} ({', '.join(what.examples)}{', ...' * (what.count > SHOWN)})"
