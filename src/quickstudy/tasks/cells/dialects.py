"""CSV as programs really write it: which encoding, separator and decimal mark, and which line is at fault."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadFile
from .encodings import BLOCK, encoding_of

if TYPE_CHECKING:
    import pyarrow

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
NAMED = re.compile(r"sep=([,;|\t:^~#!])(\r\n?|\n|$)")  # a first line that is Excel's own way to say it
SAMPLE = 1 << 18  # characters that the separator and the decimal mark are found from
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
DECIMAL_POINT = re.compile(r"[+-]?\d*\.(\d{1,2}|\d{4,})")  # three digits could be thousands: 1.234


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Args:
        encoding: a codec's name, without a mark.
        separator: one of `SEPARATORS`, or what the file's first line names.
        decimal: '.' or ','.
        names: of the columns, all different.
        start: the byte at which the first record after the header begins.
        line: the number of the line that begins there.
        widths: the characters that a cell of each column takes, its separator included, on average over the beginning.
        notes: what is unusual about it.
    """

    encoding: str
    separator: str
    decimal: str
    names: tuple[str, ...]
    start: int
    line: int
    widths: tuple[float, ...]
    notes: tuple[str, ...]


def dialect_of(path: Path) -> Dialect:
    """How this file is written, found from its bytes.

    Raises:
        BadFile: it is empty, or not a text; the message says what it looks like.
    """
    encoding, mark, notes = encoding_of(path)
    separator, sample = _separator(path, encoding, mark)
    names, used, line = _header(path, encoding, mark, separator)
    records = [r for r in sample if len(r) == len(names)][1:]
    widths = tuple(1 + sum(len(r[i]) for r in records) / max(len(records), 1) for i in range(len(names)))
    cells = [cell.strip() for record in records for cell in record] if separator != "," else []
    comma = any(map(DECIMAL_COMMA.fullmatch, cells)) and not any(map(DECIMAL_POINT.fullmatch, cells))
    if separator != ",":
        notes += (f"columns are separated by {_called(separator)}" + ", numbers have a decimal comma" * comma,)
    unique = _all_different(names)
    renamed = [f"'{new}'" for old, new in zip(names, unique, strict=True) if old != new]
    if renamed:
        notes += (f"columns without a name of their own are called {', '.join(renamed)}",)
    return Dialect(encoding, separator, "," if comma else ".", unique, mark + used, line, widths, notes)


def read_csv(path: Path, dialect: Dialect, columns: list[str]) -> pyarrow.Table:
    """Some columns of the file, every cell as it is written; lines without content are passed over.

    Types are not guessed here: a guess from the beginning of a file fails at its end.

    Raises:
        BadFile: no row, or lines that have another number of fields than the header, with the first of them.
    """
    import pyarrow
    from pyarrow import csv as arrow

    blank = f'{dialect.separator}" \t\r\n'
    with pyarrow.OSFile(str(path)) as file:
        file.seek(dialect.start)
        try:
            table = arrow.read_csv(
                file,
                arrow.ReadOptions(column_names=dialect.names, encoding=dialect.encoding, block_size=BLOCK),
                arrow.ParseOptions(
                    delimiter=dialect.separator,
                    newlines_in_values=True,
                    invalid_row_handler=lambda row: "error" if row.text.strip(blank) else "skip",
                ),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(dialect.names, pyarrow.string()), include_columns=columns
                ),
            )
        except pyarrow.ArrowInvalid as error:
            raise BadFile(_fault(path, dialect, str(error))) from error
    if not len(table):
        raise BadFile(_no_row(path, dialect))
    return table


def _separator(path: Path, encoding: str, mark: int) -> tuple[str, list[list[str]]]:
    """The separator that makes most lines as wide as the header, and the first records by it."""
    with path.open("rb") as file:
        file.seek(mark)
        with io.TextIOWrapper(file, encoding, newline="", errors="replace") as text:
            sample = text.read(SAMPLE)
    named = NAMED.match(sample)
    best = ((0.0, 0), ",", [[""]])
    for separator in (named[1],) if named else SEPARATORS:
        records = [r for r in _records(io.StringIO(sample, newline=""), separator) if any(c.strip() for c in r)]
        records = records[bool(named) :]
        if len(sample) == SAMPLE and len(records) > 2:
            records.pop()  # it may have been cut
        width = len(records[0]) if records else 1
        agreeing = sum(len(r) == width for r in records) / max(len(records), 1)
        if width > 1 or named:
            best = max(best, ((agreeing, width), separator, records))
    return best[1], best[2]


def _records(lines: Iterator[str] | io.StringIO, separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=separator)
    except csv.Error:  # a field without end: what came before it is enough to judge by
        return


def _header(path: Path, encoding: str, mark: int, separator: str) -> tuple[list[str], int, int]:
    """The header's cells, the bytes up to its end, and the number of the line after it."""
    used = line = 0

    def lines(text: io.TextIOWrapper) -> Iterator[str]:
        nonlocal used, line
        for content in text:
            used, line = used + len(content.encode(encoding)), line + 1
            if line > 1 or not NAMED.fullmatch(content):
                yield content

    with path.open("rb") as file:
        file.seek(mark)
        with io.TextIOWrapper(file, encoding, newline="") as text:
            for record in _records(lines(text), separator):
                if any(cell.strip() for cell in record):
                    return [cell.strip() for cell in record], used, line + 1
    raise BadFile(f"{path} holds no line with content; a table begins with the names of its columns.")


def _all_different(names: list[str]) -> tuple[str, ...]:
    """Names for columns that have none, or one that is taken."""
    unique: dict[str, None] = {}
    for i, name in enumerate(names):
        wanted = fresh = name or f"column {i + 1}"
        again = 1
        while fresh in unique:
            again += 1
            fresh = f"{wanted} ({again})"
        unique[fresh] = None
    return tuple(unique)


def _fault(path: Path, dialect: Dialect, said: str) -> str:
    """Which line is at fault: the file is read again, record by record."""
    wide, rows, wrong, first = len(dialect.names), 0, 0, ""
    with path.open("rb") as file:
        file.seek(dialect.start)
        with io.TextIOWrapper(file, dialect.encoding, newline="", errors="replace") as text:
            reader, begins = csv.reader(text, delimiter=dialect.separator), dialect.line
            try:
                for record in reader:
                    ends = dialect.line + reader.line_num
                    rows += any(cell.strip() for cell in record)
                    if len(record) != wide and any(cell.strip() for cell in record):
                        wrong += 1
                        first = first or _about(begins, ends, record, wide, dialect.separator)
                    begins = ends
            except csv.Error:
                long = f"line {begins:,} begins a text of more than {csv.field_size_limit():,} characters"
                first = first or f"{long}, so a quotation mark in it may not be closed ({said})"
    if first:
        more = f" {wrong - 1:,} more like it." if wrong > 1 else ""
        return f"{path}, {first}.{more} Mend it, or export the table again with quotation marks around texts."
    return f"{path} cannot be read as CSV: {said}." if rows else _no_row(path, dialect)


def _no_row(path: Path, dialect: Dialect) -> str:
    named = ", ".join(dialect.names[:5]) + ", ..." * (len(dialect.names) > 5)
    return f"{path} names its columns ({named}), and holds no row below them; save it again with its rows."


def _called(separator: str) -> str:
    return SEPARATORS.get(separator, f"'{separator}'")


def _about(begins: int, ends: int, record: list[str], wide: int, separator: str) -> str:
    fields = f"{len(record)} field{'s' * (len(record) != 1)}"
    said = f"line {begins:,} has {fields} where the header has {wide} (separated by {_called(separator)})"
    if ends - begins > 1:
        return f"{said}; it goes on to line {ends - 1:,}, so a quotation mark in it may not be closed"
    return f"{said}: '{' '.join(separator.join(record).split())[:60]}'"
