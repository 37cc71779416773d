"""What encoders have made, kept by content: an input that was encoded once is not encoded again."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import BadExamples, ContractBroken, QuickstudyError
from ...storage import cache_folder
from ...tasks.datasets.download import Progress
from ..protocol import BadInputs, Encoder
from .kept import TYPES, Kept, read, write

BLOCK = 256  # inputs that are encoded before the first ones are saved
BLOCK_SECONDS = 2.0  # blocks grow until they take this long: no more is lost when the work is stopped
BLOCK_BYTES = 1 << 26

Known = dict[bytes, tuple[Kept, int]]  # digest of an input -> where what was made of it is kept


def encoded(encoder: Encoder, inputs: Sequence[Any], progress: Progress | None = None) -> Tensor:
    """(n, *feature): what the encoder makes of the inputs, from the cache as far as it was made before.

    A file counts by its bytes, wherever it lies. What is read back is mapped, not loaded: a row comes from the disk
    when it is looked at. Equal inputs are encoded once, and when some are new or changed, only those are. Blocks are
    saved as they are made, so work that was stopped goes on from there. A damaged file of the cache counts as not
    there. The cache may be deleted at any time; nothing else deletes what is in it.

    Args:
        progress: called with what is being done, how many inputs are done, and of how many.

    Raises:
        BadInputs: inputs that cannot be read or encoded, all of them; the others are encoded by then, and kept.
        QuickstudyError: the cache (the folder that QUICKSTUDY_CACHE names) cannot be written to.
    """
    if not len(inputs):
        raise BadExamples(f"There is nothing to encode with {_name(encoder)}; give at least one input.")
    digests, unread = _digests(inputs, files=encoder.modality == "image")
    folder = cache_folder() / "encoded" / hashlib.sha256(encoder.identity.encode()).hexdigest()
    path = folder / f"{hashlib.sha256(digests.data).hexdigest()}.safetensors"
    whole = read(path)
    if whole is not None and np.array_equal(whole.digests, digests):
        return whole.rows
    rows = np.delete(np.arange(len(digests)), list(unread))
    known: Known = {}
    wanted = {digest.tobytes() for digest in digests[rows]}
    for old in sorted(folder.glob("*.safetensors")):
        _remember(known, read(old, wanted), wanted)
    for new in _missing(encoder, inputs, digests, rows, folder, known, unread, progress):
        _remember(known, new, wanted)
    if unread:
        raise BadInputs(_for_equal_ones(inputs, digests, unread, encoder.modality), "Leave such rows out.")
    write(path, digests, _in_order(digests, known))
    for used in {kept.path for kept, _ in known.values() if kept.path.name.startswith("part-")}:
        with contextlib.suppress(OSError):
            used.unlink()
    whole = read(path)
    if whole is None:
        raise QuickstudyError(f"{path} was written, and does not read back as what it was; is the disk sound?")
    return whole.rows


def _name(encoder: Encoder) -> str:
    return encoder.identity.split()[0]


def _digests(inputs: Sequence[Any], *, files: bool) -> tuple[np.ndarray, dict[int, str]]:
    """(n, 32) SHA-256 of each input, zeros where there is none; and what is wrong with those."""
    unread = {}

    def digest(row: int) -> bytes:
        try:
            return _digest(inputs[row], files=files)
        except OSError as error:
            unread[row] = f"cannot be read: {error.strerror or error}"
        except TypeError:
            unread[row] = f"is {inputs[row]!r:.40}, a {type(inputs[row]).__name__}, not a file, text or array"
        return bytes(32)

    rows = range(len(inputs))
    if files:  # which take their time to come from the disk
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            found = b"".join(threads.map(digest, rows))
    else:
        found = b"".join(map(digest, rows))
    return np.frombuffer(found, dtype=np.uint8).reshape(len(inputs), 32), unread


def _digest(one: Any, *, files: bool) -> bytes:
    if isinstance(one, Path) or (files and isinstance(one, str)):
        with Path(one).open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    if isinstance(one, str):
        return hashlib.sha256(b"text" + one.encode("utf-8", "surrogatepass")).digest()
    if isinstance(one, np.ndarray | Tensor) and (array := np.ascontiguousarray(one)).dtype.kind in "buif":
        return hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()).digest()
    raise TypeError


def _remember(known: Known, kept: Kept | None, wanted: set[bytes]) -> None:
    for row, digest in enumerate(() if kept is None else kept.digests):
        if (key := digest.tobytes()) in wanted and kept is not None:
            known.setdefault(key, (kept, row))


def _missing(
    encoder: Encoder,
    inputs: Sequence[Any],
    digests: np.ndarray,
    rows: np.ndarray,
    folder: Path,
    known: Known,
    unread: dict[int, str],
    progress: Progress | None,
) -> Iterator[Kept]:
    """Encode what is not known, block by block, each saved before the next one is begun.

    Args:
        rows: those that may be encoded.
        unread: is told of those that cannot be.
    """
    first = {digests[row].tobytes(): row for row in rows[::-1].tolist()}
    missing = sorted(row for digest, row in first.items() if digest not in known)
    start, size = 0, BLOCK
    while start < len(missing):
        block, began = missing[start : start + size], time.monotonic()
        start += len(block)
        block, made = _made(encoder, inputs, block, unread)
        if made is not None:
            part = folder / f"part-{hashlib.sha256(digests[block].data).hexdigest()}.safetensors"
            write(part, digests[block], iter([made]))
            yield read(part) or Kept(part, digests[block], made)
        if progress is not None:
            progress(f"encode with {_name(encoder)}", len(first) - len(missing) + start, len(first))
        if time.monotonic() - began < BLOCK_SECONDS:
            size = min(2 * size, max(1, BLOCK_BYTES // (4 * math.prod(encoder.feature))))


def _made(
    encoder: Encoder, inputs: Sequence[Any], rows: list[int], unread: dict[int, str]
) -> tuple[list[int], Tensor | None]:
    """The rows that can be encoded, and what is made of them; `unread` is told of the others."""
    while rows:
        try:
            made = encoder([inputs[row] for row in rows])
        except BadInputs as error:
            unread.update(error.moved(rows).problems)
            rows = [row for row in rows if row not in unread]
            continue
        if made.shape != (len(rows), *encoder.feature) or made.dtype not in TYPES:
            raise ContractBroken(
                f"{_name(encoder)} made {tuple(made.shape)} of {made.dtype} from {len(rows)} inputs; it declares"
                f" {encoder.feature} for each, and may give {' or '.join(map(str, TYPES))}."
            )
        return rows, made
    return rows, None


def _for_equal_ones(
    inputs: Sequence[Any], digests: np.ndarray, unread: dict[int, str], modality: str
) -> dict[int, str]:
    """What is wrong with each row, where equal inputs were tried once; files by their names."""
    why = {digests[row].tobytes(): problem for row, problem in unread.items()}
    return {
        row: (f"({inputs[row]}) " if modality == "image" and isinstance(inputs[row], str | Path) else "") + problem
        for row, digest in enumerate(digests)
        if (problem := unread.get(row) or why.get(digest.tobytes())) is not None
    }


def _in_order(digests: np.ndarray, known: Known, size: int = 1024) -> Iterator[Tensor]:
    for start in range(0, len(digests), size):
        found = (known[digest.tobytes()] for digest in digests[start : start + size])
        yield torch.stack([kept.rows[row] for kept, row in found])
