"""Columns of a file, CSV or Parquet, in memory, if they fit in there."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BadFile, MissingData, UnknownName, UserError
from ...machine import memory_available
from .dialects import dialect_of, read_csv

if TYPE_CHECKING:
    import pyarrow

COPIES = 2.5  # a table is held as cells and as numbers or strings while it is read
LEAST = 8  # bytes of a cell: a number, or the pointer to a name
FIRST = 1024  # rows of a Parquet file that show how long its texts are


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns of a file that have been read.

    Args:
        name: the file's, without its ending.
        data: an Arrow table, in whose CSV columns every cell is a string.
        decimal: the mark that its numbers are written with.
        notes: what is unusual about the file.
        places: (n,) where in the file each row stands, from 0; None while none has been left out.
    """

    name: str
    data: pyarrow.Table
    decimal: str = "."
    notes: tuple[str, ...] = ()
    places: np.ndarray | None = None

    def row(self, i: int) -> str:
        """What to call a row: its number in the file, not counting header and empty lines."""
        return f"row {(i if self.places is None else self.places[i]) + 1:,}"

    def keeping(self, rows: np.ndarray) -> Table:
        """The rows of a mask."""
        import pyarrow

        places = np.flatnonzero(rows) if self.places is None else self.places[rows]
        return dataclasses.replace(self, data=self.data.filter(pyarrow.array(rows)), places=places)


def load(path: str | Path, needed: Sequence[str], *, only: bool) -> Table:
    """A file's columns: the needed ones only, or all of them.

    Raises:
        UnknownName: a column that is not there.
        BadFile: a file that cannot be read, or has no row.
        MissingData: pyarrow is not installed.
        UserError: the table is larger than the memory.
    """
    path = Path(path)
    return (_parquet if _is_parquet(path) else _csv)(path, needed, only)


def column_names(path: str | Path) -> tuple[str, ...]:
    """What the columns of a file are called, without reading it.

    Raises:
        BadFile, MissingData: as `load`.
    """
    path = Path(path)
    if not _is_parquet(path):
        return dialect_of(path).names
    import pyarrow
    from pyarrow import parquet

    try:
        return tuple(parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadFile(_not_parquet(path, error)) from error


def _is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, else it is CSV or nothing that is read here."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingData("Reading tables needs pyarrow, which is not here: pip install 'quickstudy[tables]'")
    if not path.is_file():
        what = "is a folder: images in folders are read as such" if path.is_dir() else "does not exist"
        raise BadFile(f"{path} {what}; a table is a CSV or a Parquet file.")
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _not_parquet(path: Path, error: Exception) -> str:
    return f"{path} cannot be read as Parquet: {error}. It may be incomplete; write it again."


def _csv(path: Path, needed: Sequence[str], only: bool) -> Table:
    dialect = dialect_of(path)
    _check_names(path, needed, dialect.names)
    columns = [name for name in dialect.names if name in needed or not only]
    count = path.stat().st_size / sum(dialect.widths)
    cells = [w for name, w in zip(dialect.names, dialect.widths, strict=True) if name in columns]
    _check_memory(path, count * sum(max(width, LEAST) for width in cells), columns, dialect.names)
    return Table(path.stem, read_csv(path, dialect, columns), dialect.decimal, dialect.notes)


def _parquet(path: Path, needed: Sequence[str], only: bool) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names, about = file.schema_arrow.names, file.metadata
            _check_names(path, needed, names)
            columns = [name for name in names if name in needed or not only]
            if not about.num_rows:
                raise BadFile(f"{path} has {len(names)} columns and no row; write it again with its rows.")
            # Repeated values take next to nothing in the file, so its size alone tells little.
            parts = (
                about.row_group(g).column(c) for g in range(about.num_row_groups) for c in range(about.num_columns)
            )
            taken = {*columns}
            size = sum(
                part.total_uncompressed_size
                for part in parts
                if taken & {part.path_in_schema, part.path_in_schema.split(".")[0]}
            )
            first = next(file.iter_batches(FIRST, columns=columns))
            named = [pyarrow.types.is_dictionary(column.type) for column in first.columns]
            cells = [
                LEAST if codes else max(column.nbytes / len(first), LEAST)
                for codes, column in zip(named, first.columns, strict=True)
            ]
            _check_memory(path, max(about.num_rows * sum(cells), size), columns, names)
            return Table(path.stem, file.read(columns))
    except (pyarrow.ArrowException, OSError) as error:
        raise BadFile(_not_parquet(path, error)) from error


def _check_names(path: Path, needed: Sequence[str], names: Sequence[str]) -> None:
    for name in needed:
        if name not in names:
            raise UnknownName.among(f"column of {path.name} called", name, names)


def _check_memory(path: Path, cells: float, columns: Sequence[str], names: Sequence[str]) -> None:
    needed, free = COPIES * cells, memory_available()
    if needed > free:
        raise UserError(
            f"{path} has {_size(path.stat().st_size)}, and reading {len(columns)} of its {len(names)} columns takes"
            f" about {_size(needed)} of memory, of which {_size(free)} are free. Give a part of its rows, or fewer"
            " columns."
        )


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
