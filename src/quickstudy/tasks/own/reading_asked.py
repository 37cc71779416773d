"""A few rows of one task, from wherever they are: images in folders, one image, or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MissingData, NotEnoughExamples, UserError
from ..images import SUFFIXES
from .asked import OPTION, ROLES, Asked, TableReader
from .images import images_below


def read_asked(
    path: str | Path,
    modality: str,
    kind: str,
    columns: Mapping[str, Any],
    *,
    support: bool,
    called: Mapping[str, str] | None = None,
    features: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Asked:
    """The rows of a folder (CLASS/IMAGE, or for questions IMAGE), of an image, or of a CSV or Parquet file.

    Args:
        path: of it.
        modality: what a bundle reads.
        kind: 'classification' or 'regression'.
        columns: role (label, text, image, smiles, id_, when, values, task) -> column of the tables it was made for, or
            several.
        support: whether there have to be labels; rows without one are left out then. Otherwise labels are read if they
            are there.
        called: roles whose columns have other names here.
        features: names of the numeric and of the categorical columns, where the modality is 'features'.

    Raises:
        MissingData: nothing is there, or pyarrow is not installed.
        UserError: a path, or an option, of another modality; rows of several tasks in a support set.
        NotEnoughExamples: a class, or all of it, without an example.
        UnknownName, BadFile, BadExamples: as `read_table`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = (Path(folder) / "new.csv").write_text("mood;words\\ngood;up\\n;left out\\nbad;down\\n")
    ...     asked = read_asked(
    ...         Path(folder) / "new.csv", "text", "classification", {"label": "mood", "text": "words"}, support=True
    ...     )
    >>> asked.inputs, asked.labels.tolist(), asked.places
    (['up', 'down'], ['good', 'bad'], ('row 1', 'row 3'))
    """
    path, called = Path(path), dict(called or {})
    known = {"label": "", **ROLES[modality], **({"values": ""} if modality == "series" else {})}
    odd = [OPTION.get(role, role) for role in called if role not in known]
    if odd:
        raise UserError(f"This bundle reads {modality}; {odd[0]} names a column of something else. Leave it out.")
    if not path.exists():
        raise MissingData(f"There is nothing at {path}; give {_wanted(modality, support)}.")
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        what = "a folder" if path.is_dir() else "an image"
        if modality != "image":
            raise UserError(f"{path} is {what}, but this bundle reads {modality}: give {_wanted(modality, support)}.")
        if called:
            raise UserError(f"{path} is {what}, and {next(iter(called))} names a column of a table; leave it out.")
        return _pictures(path, support)
    return TableReader(path, modality, kind, {**columns, **called}, support, "label" in called).read(features)


def _wanted(modality: str, support: bool) -> str:
    table = "a CSV or Parquet file"
    if modality != "image":
        return table
    return f"a folder with a folder of images for each class, or {table}" if support else f"images, or {table}"


def _pictures(path: Path, support: bool) -> Asked:
    """Images in a folder, whose class is the folder that they lie in, if they do."""
    if path.is_file():
        if support:
            raise UserError(f"{path} is one image; to learn from, give {_wanted('image', True)}.")
        return Asked([path], (str(path),), (path.name,))
    found = sorted(images_below(path)[0])
    flat = [parts for parts in found if len(parts) == 1]
    if not found:
        raise MissingData(f"{path} holds no image; give {_wanted('image', support)}.")
    if flat and not support:
        return _named([path / parts[0] for parts in flat], None)
    classes = sorted(
        child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
    )
    if flat:
        raise MissingData(f"'{flat[0][0]}' in {path} lies in no folder of a class; make one for each class.")
    deep = [parts for parts in found if len(parts) > 2]
    if deep:
        raise UserError(
            f"{path} holds images that lie deeper than CLASS/IMAGE ('{'/'.join(deep[0])}'). One task is learned at a"
            f" time; give its folder, such as {path / deep[0][0]}."
        )
    empty = [name for name in classes if name not in {parts[0] for parts in found}]
    if empty and support:
        raise NotEnoughExamples(
            f"The class '{empty[0]}' has no example: {path / empty[0]} holds no image. Put one there, or remove it."
        )
    return _named([path.joinpath(*parts) for parts in found], np.array([parts[0] for parts in found], dtype=object))


def _named(paths: list[Path], labels: np.ndarray | None) -> Asked:
    return Asked(paths, tuple(map(str, paths)), tuple(path.name for path in paths), labels)
