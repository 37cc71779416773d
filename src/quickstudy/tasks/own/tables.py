"""Tables in CSV or Parquet files, one example a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BadExamples, UserError
from ..cells.features import MOSTLY, features_of
from ..cells.names import columns_in, joined, names_of, texts_of
from ..cells.numbers import numbers_of
from ..cells.table import Table, load
from ..checked.findings import kind_of, settled
from ..images import MOST_PIXELS
from .images import verified
from .rows import SHOWN, Columns, Dropped, Rows

MODALITY = {"text": "text", "image": "image", "smiles": "molecule"}


def read_table(
    path: str | Path,
    *,
    task: str | Sequence[str] | None = None,
    label: str,
    text: str | None = None,
    image: str | None = None,
    smiles: str | None = None,
    group: str | None = None,
    kind: str | None = None,
    most_pixels: int = MOST_PIXELS,
) -> Rows:
    """The rows of a CSV or Parquet file.

    Separator, encoding and decimal mark of a CSV are found and said. Without `text`, `image` and `smiles` all other
    columns are features, missing values and all; those that tell nothing are left out.

    Args:
        path: of the file.
        task: the column that says which task a row belongs to, or several that say so together; without it tasks are
            drawn from the classes.
        label: the column to predict.
        text: the column of texts to predict from.
        image: the column of paths of images, from the folder of the file on.
        smiles: the column of molecules.
        group: the column whose rows never stand on two sides of a split (a patient, a source).
        kind: 'classification' or 'regression'; without it a number with many different values is a regression.
        most_pixels: images with more are left out.

    Raises:
        UnknownName: a column that is not there, with the nearest that is.
        BadFile: a file that cannot be read, with the line at fault.
        BadExamples, NotEnoughExamples: labels that do not fit the kind, or nothing that could be learned from.
        MissingData: pyarrow is not installed.
        UserError: the file does not fit into the memory, with sizes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = (Path(folder) / "mood.csv").write_text("words;mood\\na;good\\nb;bad\\nc;good\\nd;bad\\n")
    ...     rows = read_table(Path(folder) / "mood.csv", label="mood", text="words")
    >>> len(rows), rows.inputs, rows.classes[0]
    (4, ['a', 'b', 'c', 'd'], ('bad', 'good'))
    """
    sources = {"text": text, "image": image, "smiles": smiles}
    given = [(what, column) for what, column in sources.items() if column is not None]
    tasks = columns_in(task)
    roles = [column for column in (label, *tasks, group, *sources.values()) if column is not None]
    if len(given) > 1:
        raise UserError(f"Inputs are one of text, image and smiles, not {' and '.join(what for what, _ in given)}.")
    if len(set(roles)) < len(roles):
        twice = next(column for column in roles if roles.count(column) > 1)
        raise UserError(f"The column '{twice}' is named twice; label, task, group and inputs are different columns.")
    table = load(path, roles, only=bool(given))
    kept, dropped, named = labelled(table, [c for c in (label, *tasks, group) if c is not None])
    numbers, odd = label_numbers(kept, label, kind)
    found, note = kind_of(named[label], numbers, kind, bool(tasks))
    modality = MODALITY[given[0][0]] if given else "features"
    gone = len(table.data) - len(kept.data)
    inputs, left, notes = _inputs(kept, given[0] if given else None, [*named], Path(path).parent, gone)
    rows = Rows(
        name=table.name,
        modality=modality,
        inputs=inputs,
        labels=named[label] if numbers is None or found == "classification" else numbers,
        kind=found,
        tasks=joined([named[column] for column in tasks]) if tasks else None,
        dropped=(*dropped, *left),
        notes=(*table.notes, note, *odd, *notes),
        groups=None if group is None else named[group],
    )
    return settled(_without_inputs(rows, kept, most_pixels))


def labelled(table: Table, columns: Sequence[str]) -> tuple[Table, list[Dropped], dict[str, np.ndarray]]:
    """The rows in which no column of names (label, task, group) is empty, what was left out, and these names."""
    n, dropped = len(table.data), []
    rows, named = np.ones(n, dtype=bool), {}
    for column in columns:
        named[column], empty = names_of(table.data[column], column)
        out = rows & empty
        if out.any():
            some = tuple(map(table.row, np.flatnonzero(out)[:SHOWN]))
            dropped.append(Dropped(f"rows without '{column}'", int(out.sum()), some))
        rows &= ~empty
    if not rows.any():
        raise BadExamples(f"No row of '{table.name}' ({n:,}) has a value in each of: {', '.join(columns)}.")
    if rows.all():
        return table, dropped, named
    return table.keeping(rows), dropped, {column: values[rows] for column, values in named.items()}


def label_numbers(table: Table, label: str, kind: str | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels as numbers, None where some are words; and what to say if these are few.

    Raises:
        BadExamples: a regression was asked for, and there are words.
    """
    import pyarrow as pa

    if pa.types.is_boolean(table.data[label].type):
        return None, ()
    numbers, _, _ = numbers_of(table.data[label], table.decimal)
    wrong = np.isnan(numbers)
    if not wrong.any():
        return numbers, ()
    first = int(wrong.argmax())
    where = (
        f"in {wrong.sum():,} of {len(wrong):,} rows: '{table.data[label][first].as_py()}' in {table.row(first)} first"
    )
    if kind == "regression":
        raise BadExamples(
            f"A regression needs numbers, but '{label}' holds something else {where}. Mend these cells, or leave kind"
            " out."
        )
    if kind is None and wrong.mean() <= 1 - MOSTLY:
        return None, (f"'{label}' holds numbers, but something else {where}. Empty these cells if they are no class",)
    return None, ()


def _inputs(
    table: Table, given: tuple[str, str] | None, taken: Sequence[str], folder: Path, gone: int
) -> tuple[Sequence[Any] | Columns, list[Dropped], list[str]]:
    """What to predict from, which columns were left out, and what to say."""
    if given is None:
        return features_of(table.data.drop_columns(list(taken)), table.decimal, gone)
    what, column = given
    words = [(cell or "").strip() for cell in texts_of(table.data[column], column).to_pylist()]
    return ([folder / word if word else None for word in words] if what == "image" else words), [], []


def _without_inputs(rows: Rows, table: Table, most_pixels: int) -> Rows:
    """Without rows whose text or molecule is empty, and whose image cannot be read."""
    if rows.modality == "features":
        return rows
    empty = np.array([not x for x in rows.inputs])
    rows = rows.without(empty, f"rows without {rows.modality}", [*map(table.row, np.flatnonzero(empty)[:SHOWN])])
    return verified(rows, most_pixels=most_pixels) if rows.modality == "image" else rows
