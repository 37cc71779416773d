"""A next task to try the bundle on, written as a user would bring it: folders of images, or a table."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...storage import write_atomically
from ...task import Task
from ...tasks.cells.names import columns_in
from ...tasks.images import SUFFIXES, picture
from ...tasks.own.rows import Columns, Rows
from .examples import class_names, next_task

QUERIES = 10  # images that are asked about
LONGEST = 60  # letters of a folder's name
# What columns are called where the user named none, by role.
CALLED = {"label": "label", "text": "text", "smiles": "smiles", "id_": "id", "when": "time"}
ROLES = {
    "features": ("label",),
    "text": ("label", "text"),
    "molecule": ("label", "smiles"),
    "series": ("label", "id_", "when"),
}
FORBIDDEN = '/\\:*?"<>|'


def write_next_task(
    folder: Path, source: Any, rows: Rows | None = None, columns: Mapping[str, Any] | None = None
) -> tuple[Path, Path] | None:
    """Write a test task into a folder: support/CLASS/IMAGE and queries/IMAGE, or support.csv and queries.csv.

    Queries are written with their labels (in the names of image files), so that answers can be compared.

    Args:
        folder: what an earlier study wrote there is replaced.
        source: whose test tasks there are.
        rows: a user's data; without it only images can be written.
        columns: what the columns of the user's table are called.

    Returns:
        Where support and queries are; None for tasks that cannot be written.
    """
    task = next_task(source)
    pictures = task.support.x.dim() == 4 if rows is None else rows.modality == "image"
    if not pictures and rows is None:
        return None
    for old in (folder / "support", folder / "queries"):
        shutil.rmtree(old, ignore_errors=True)
        old.with_suffix(".csv").unlink(missing_ok=True)
    if pictures:
        return _write_images(folder, task, class_names(source, task), rows)
    assert rows is not None and task.origin is not None
    paths = folder / "support.csv", folder / "queries.csv"
    for path, numbers in zip(paths, (task.origin.support, task.origin.query), strict=True):
        file = io.StringIO()
        csv.writer(file).writerows(table_of(rows, numbers.tolist(), columns or {}))
        write_atomically(path, file.getvalue().encode())
    return paths


def table_of(rows: Rows, numbers: Sequence[int], columns: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    """Some rows as a table, its head first: with the user's names of columns, where they are known.

    A series takes a row for each point of time, which are numbered anew.

    >>> rows = Rows("mail", "text", ["hi", "bye"], np.array(["a", "b"]), "classification", None)
    >>> list(table_of(rows, [1], {"text": "mail"}))
    [['mail', 'label'], ['bye', 'b']]
    """
    called = CALLED | dict(columns)
    label = called["label"]
    labels = {i: str(rows.labels[i]) for i in numbers}
    inputs = rows.inputs
    if isinstance(inputs, Columns):
        yield [*inputs.names, label]
        for i in numbers:
            yield [*_exact(inputs, i), labels[i]]
    elif rows.modality == "series":
        series = [np.asarray(inputs[i]) for i in numbers]
        series = [s[:, None] if s.ndim == 1 else s for s in series]
        yield [called["id_"], called["when"], *_channels(columns, series[0].shape[1]), label]
        for number, (i, values) in enumerate(zip(numbers, series, strict=True), 1):
            for when, point in enumerate(values):
                yield [f"{number:0{len(str(len(series)))}d}", str(when), *map(_cell, point), labels[i]]
    else:
        yield [called["smiles" if rows.modality == "molecule" else "text"], label]
        for i in numbers:
            yield [inputs[i], labels[i]]


def options_of(rows: Rows, columns: Mapping[str, Any]) -> str:
    """What a command has to be told of such a table, since the user, who brought arrays, named no columns.

    >>> rows = Rows("mail", "text", ["hi", "bye"], np.array(["a", "b"]), "classification", None)
    >>> options_of(rows, {"label": "kind"})
    ' --text text'
    """
    roles = [role for role in ROLES.get(rows.modality, ()) if role not in columns]
    return "".join(f" --{role.rstrip('_')} {CALLED[role]}" for role in roles)


def _exact(columns: Columns, row: int) -> list[str]:
    """The cells of a row as they were read, empty where one is missing."""
    named = zip(columns.categories, columns.categorical[row].tolist(), strict=True)
    return [*map(_cell, columns.numeric[row]), *(names[c] if c >= 0 else "" for names, c in named)]


def _cell(value: np.floating[Any]) -> str:
    return "" if np.isnan(value) else str(value)


def _channels(columns: Mapping[str, Any], count: int) -> list[str]:
    """The names of the channels; where the user named none, all columns that hold numbers are, in their order."""
    named = columns_in(columns.get("values"), commas=True)
    return [*named] if len(named) == count else [f"value {i + 1}" for i in range(count)]


def _write_images(folder: Path, task: Task, names: Sequence[str], rows: Rows | None) -> tuple[Path, Path]:
    assert task.origin is not None
    support, queries = folder / "support", folder / "queries"
    taken = _file_names(names)
    count = [0] * len(names)
    for i, label in enumerate(task.support.y.tolist()):
        count[label] += 1
        _write_image(support / taken[label] / str(count[label]), task.support.x[i], rows, int(task.origin.support[i]))
    for i, label in enumerate(task.query.y[:QUERIES].tolist()):
        _write_image(queries / f"{i + 1:02d} {taken[label]}", task.query.x[i], rows, int(task.origin.query[i]))
    return support, queries


def _file_names(names: Sequence[str]) -> list[str]:
    """Names of classes as those of folders, each of them another.

    >>> _file_names(["a/b", "a b", "..", "x"])
    ['a b', 'a b 2', 'class 3', 'x']
    """
    made: list[str] = []
    for number, name in enumerate(names, 1):
        plain = "".join(" " if letter in FORBIDDEN or not letter.isprintable() else letter for letter in name)
        plain = plain.strip(" .")[:LONGEST].strip() or f"class {number}"
        made.append(plain if plain.casefold() not in map(str.casefold, made) else f"{plain} {number}")
    return made


def _write_image(path: Path, x: torch.Tensor, rows: Rows | None, row: int) -> None:
    """An image of the user as it is, or one that is made of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = None if rows is None else rows.inputs[row]
    if isinstance(image, Path) and image.suffix.lower() in SUFFIXES:
        shutil.copyfile(image, path.with_name(path.name + image.suffix.lower()))
        return
    to = path.with_name(path.name + ".png")
    if isinstance(image, Path):
        picture(image, "RGB").save(to)
        return
    numbers = x if image is None else torch.from_numpy(np.asarray(image))
    bytes_ = (numbers.clamp(0, 1) * 255).round().byte() if numbers.is_floating_point() else numbers
    pixels = bytes_.permute(1, 2, 0).numpy()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(to)
