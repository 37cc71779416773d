"""Examples from a CSV that somebody pastes or drops."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from ...bundle import Bundle
from ...encoders.tables import Table
from ...errors import BadExamples
from .reading import takes

LABELS = ("label", "class", "answer", "y", "target")


def examples_of(bundle: Bundle, body: bytes, most: int) -> list[tuple[Any, Any]]:
    """(x, y) of each row; the column of labels is the bundle's own, one called label, class, answer, y, or the last.

    Args:
        bundle: that is to learn from them.
        body: a CSV with a head, in UTF-8, its cells parted by commas, semicolons or tabs.
        most: rows.

    Raises:
        BadExamples: no such table.
    """
    kind = takes(bundle)
    if kind in ("image", "series"):
        raise BadExamples("A CSV holds texts or rows of numbers; send these inputs as JSON.")
    rows = _cells(body, most)
    head = [name.strip() for name in rows[0]]
    label = _label(bundle, head)
    others = [i for i in range(len(head)) if i != label]
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            raise BadExamples(f"Line {number} has {len(row)} cells, but the head has {len(head)}.")
        if not row[label].strip():
            raise BadExamples(f"Line {number} has nothing in '{head[label]}', the column of labels.")
        found.append((_x(bundle, kind, head, row, others, number), _y(bundle, row[label].strip(), number)))
    return found


def _cells(body: bytes, most: int) -> list[list[str]]:
    try:
        text = body.decode("utf-8-sig")
        first = text.partition("\n")[0]
        mark = max(",;\t", key=first.count)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadExamples(f"This is no CSV in UTF-8: {error}.") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise BadExamples("A CSV has a head, at least two columns, one of them the labels, and a row for each example.")
    if len(rows) - 1 > most:
        raise BadExamples(f"This CSV has {len(rows) - 1:,} rows; at most {most:,} are taken at a time.")
    return rows


def _label(bundle: Bundle, head: list[str]) -> int:
    wanted = bundle.columns.get("label")
    if wanted in head:
        return head.index(wanted)
    known = [i for i, name in enumerate(head) if name.lower() in LABELS]
    return known[0] if known else len(head) - 1


def _x(bundle: Bundle, kind: str, head: list[str], row: list[str], others: list[int], number: int) -> Any:
    if kind == "row":
        assert isinstance(bundle.encoder, Table)
        return {head[i]: row[i] for i in others}
    if kind == "text":
        column = bundle.columns.get("smiles" if bundle.modality == "molecule" else "text", "text")
        if column not in head and len(others) > 1:
            raise BadExamples(f"Which column holds the texts? There is none called '{column}'; leave the others out.")
        return row[head.index(column) if column in head else others[0]]
    return [_float(row[i], head[i], number) for i in others]


def _y(bundle: Bundle, cell: str, number: int) -> Any:
    return cell if bundle.kind == "classification" else _float(cell, "the labels", number)


def _float(cell: str, column: str, line: int) -> float:
    try:
        number = float(cell)
    except ValueError as error:
        raise BadExamples(f"Line {line} holds '{cell[:40]}' in '{column}', where a number should be.") from error
    if not math.isfinite(number):
        raise BadExamples(f"Line {line} holds no finite number in '{column}'.")
    return number
