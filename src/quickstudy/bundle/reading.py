"""Files of one task, read as a bundle wants them: its modality, its columns, its encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..encoders.protocol import SHOWN, BadInputs
from ..encoders.series import Series
from ..encoders.tables import Table
from ..errors import BadExamples, UserError
from ..tasks.images import read_image
from ..tasks.own.asked import Asked
from ..tasks.own.reading_asked import read_asked
from ..tasks.own.rows import Columns
from .use import Bundle

BLOCK = 1024  # inputs that are encoded at a time


def read_for(bundle: Bundle, path: str | Path, *, support: bool, called: Mapping[str, str] | None = None) -> Asked:
    """Rows of one task, to learn from or to be asked about.

    Args:
        bundle: that is to read them.
        path: a folder of images, an image, or a CSV or Parquet file.
        support: whether there have to be labels.
        called: roles whose columns have other names here than in the bundle's tables.

    Raises:
        UserError: nothing that this bundle reads; see `read_asked`.
    """
    modality = bundle.modality
    if modality is None and len(bundle.feature) == 3:
        if Path(path).is_file() and Path(path).suffix.lower() in (".csv", ".tsv", ".txt", ".parquet"):
            raise UserError(f"{path} is a table, but this bundle was made of images without a table: give a folder.")
        return read_asked(path, "image", bundle.kind, {}, support=support, called=called)
    if modality is None:
        raise UserError(
            f"This bundle was saved without an encoder: it takes numbers shaped {bundle.feature}, which no file is read"
            " as. Hand them over in Python: load_bundle(folder).adapt(x, labels)."
        )
    table = bundle.encoder
    known = (
        ([], [])
        if not isinstance(table, Table)
        else ([s.name for s in table.numeric], [n for n, _ in table.categorical])
    )
    asked = read_asked(path, modality, bundle.kind, bundle.columns, support=support, called=called, features=known)
    notes = [] if not isinstance(table, Table) else _unseen(table, asked.inputs)
    return asked.saying(*notes)


def encoded(bundle: Bundle, asked: Asked) -> Iterator[Tensor]:
    """(n, *feature) numbers of the rows, block by block; all at once for a transductive learner.

    Raises:
        BadExamples: inputs that cannot be encoded, by their places.
    """
    size = len(asked) if bundle.learner.transductive else BLOCK
    for start in range(0, len(asked), size):
        inputs = asked.inputs[start : start + size]
        if bundle.modality is None:
            yield torch.stack([read_image(path, bundle.feature) for path in inputs])
            continue
        try:
            yield bundle.encode(inputs)
        except BadInputs as error:
            raise BadExamples(_by_place(bundle, error, asked.places[start : start + size])) from error


def _by_place(bundle: Bundle, error: BadInputs, places: tuple[str, ...]) -> str:
    rows = sorted(error.problems)
    named = [f"{places[row]} {error.problems[row]}" for row in rows[:SHOWN]]
    more = f"; and {len(rows) - SHOWN:,} more" * (len(rows) > SHOWN)
    remedy = error.remedy
    if isinstance(bundle.encoder, Series):
        remedy = f"Leave them out, or cut them to {bundle.encoder.length:,} points of {len(bundle.encoder.channels)}."
    return f"{'; '.join(named)}{more}. {remedy}"


def _unseen(table: Table, columns: Columns) -> list[str]:
    """What to say of categories that were not there when the bundle was made."""
    notes = []
    for (name, known), here in zip(table.categorical, columns.categories, strict=True):
        new = [word for word in here if word not in known]
        if new:
            shown = ", ".join(f"'{word}'" for word in new[:SHOWN]) + ", ..." * (len(new) > SHOWN)
            notes.append(f"'{name}' holds {shown}, which this bundle does not know: as if nothing stood there")
    return notes


def said(texts: tuple[str, ...], bundle: Bundle) -> Asked:
    """Texts, or molecules, that are given as they are.

    Raises:
        UserError: the bundle reads something else.
    """
    if bundle.modality not in ("text", "molecule"):
        raise UserError(f"This bundle reads {bundle.modality or 'numbers'}, not texts; give a file instead of --say.")
    inputs: list[Any] = [text.strip() for text in texts]
    return Asked(inputs, tuple(f"text {i + 1}" for i in range(len(texts))), tuple(inputs))
