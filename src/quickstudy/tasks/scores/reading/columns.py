"""Files of named columns, compressed or not, as the formats of others have them: CSV and ARFF."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ....errors import BadFile

MISSING = ("", "?", "NA", "nan", "NaN", "None")


def columns(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV or ARFF file as strings.

    Raises:
        BadFile: the file is damaged, or rows have differing lengths.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") if path.suffix == ".gz" else path.open() as file:
            names, *rows = _arff(file) if path.suffix == ".arff" else csv.reader(file)
        if wrong := next((i for i, row in enumerate(rows, 1) if len(row) != len(names)), 0):
            raise ValueError(f"row {wrong} has {len(rows[wrong - 1])} cells, and there are {len(names)} columns")
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise BadFile(f"{path} cannot be read ({error}); bring it anew.") from error


def matrix(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """The header of a CSV file, what its rows are called in the first column, and (rows, columns) numbers, else NaN."""
    found = columns(path)
    first, *names = found
    cells = np.array([[number(cell) for cell in found[name]] for name in names])
    return names, found[first], cells.reshape(len(names), len(found[first])).T


def number(cell: str) -> float:
    """What a cell says, NaN where it is empty or no number."""
    try:
        return math.nan if cell.strip() in MISSING else float(cell)
    except ValueError:
        return math.nan


def _arff(lines: Iterator[str]) -> Iterator[list[str]]:
    """The names of the attributes, then the rows."""
    names = []
    for line in map(str.strip, lines):
        if line.lower().startswith("@attribute"):
            about = line.split(None, 1)[1]
            quote = '"' if about.startswith('"') else "'"
            names.append(next(csv.reader([about.replace("\t", " ")], delimiter=" ", quotechar=quote))[0])
        elif line.lower().startswith("@data"):
            break
    yield names
    body = (line for line in map(str.strip, lines) if line and not line.startswith("%"))
    first = next(body, "")
    quote = '"' if '"' in first else "'"
    yield from csv.reader(itertools.chain([first] if first else [], body), quotechar=quote, skipinitialspace=True)
