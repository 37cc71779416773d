"""How the bytes of a text stand for letters, found from all of them."""

from __future__ import annotations

import codecs
from pathlib import Path

from ...errors import BadFile

BLOCK = 1 << 24  # bytes read at a time: also the longest record of a table
MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
OTHERS = {
    b"PK\x03\x04": "a workbook or another zip archive; save it as CSV in the program it comes from",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV in the program it comes from",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"%PDF": "a PDF document",
    b"SQLite": "an SQLite database; export the table as CSV",
}


def encoding_of(path: Path) -> tuple[str, int, tuple[str, ...]]:
    """The encoding of a text, the length of the mark that it begins with, and what to say about it.

    Raises:
        BadFile: it is empty, or no text; the message says what it looks like.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.strip():
        raise BadFile(f"{path} is empty; a table begins with the names of its columns.")
    for magic, what in OTHERS.items():
        if head.startswith(magic):
            raise BadFile(f"{path} is not a CSV or Parquet file but {what}.")
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding, len(mark), (f"the file is {encoding.upper()}",)
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > 0.4 * len(zeros) and head.count(0) < 0.6 * len(head):
            return encoding, 0, (f"the file is {encoding.upper()}",)
    if b"\0" in head:
        raise BadFile(f"{path} is not a text: byte {head.index(0) + 1:,} is zero. A table is a CSV or a Parquet file.")
    mark = codecs.BOM_UTF8 if head.startswith(codecs.BOM_UTF8) else b""
    fault = _first_fault(path, "utf-8")
    if fault is None:
        return "utf-8", len(mark), ()
    # What Windows calls ANSI: Latin-1 with letters in place of control characters. Latin-1 itself takes any byte.
    encoding = "cp1252" if _first_fault(path, "cp1252") is None else "latin-1"
    line, words = fault
    called = {"cp1252": "Windows-1252 (Latin-1)", "latin-1": "Latin-1"}[encoding]
    return (
        encoding,
        len(mark),
        (f"line {line:,} is not UTF-8, so the file is read as {called}: '{words.decode(encoding)}'",),
    )


def _first_fault(path: Path, encoding: str) -> tuple[int, bytes] | None:
    """The line of the first byte that is no text in this encoding, and what surrounds it."""
    decoder, line, before = codecs.getincrementaldecoder(encoding)(), 1, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                text, at = error.object, error.start  # with what the decoder had kept of the block before
                line += text.count(b"\n", 0, at)
                around = (before[-20:] + text[max(at - 20, 0) : at]).splitlines()[-1:] or [b""]
                return line, (around[0][-20:] + text[at : at + 20].splitlines()[0]).strip()
            line, before = line + block.count(b"\n"), block
    return None
