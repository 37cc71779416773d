"""One file of the encoders' cache: rows that were made, the digest of each one's input, and a check over both."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from ...errors import QuickstudyError

TYPES = {torch.float32: "F32", torch.uint8: "U8"}  # as safetensors calls them


@dataclasses.dataclass(frozen=True)
class Kept:
    """What an encoder made, and of which inputs.

    Args:
        path: of the file.
        digests: (n, 32) SHA-256 of each input.
        rows: (n, *feature), mapped from the file.
    """

    path: Path
    digests: np.ndarray
    rows: Tensor


def read(path: Path, wanted: set[bytes] | None = None) -> Kept | None:
    """A file of the cache; None if it is not there, damaged, or holds nothing that is wanted."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            digests, rows, check = (file.get_tensor(name) for name in ("digests", "rows", "check"))
    except (OSError, safetensors.SafetensorError):
        return None
    if digests.ndim != 2 or digests.dtype != torch.uint8 or rows.dtype not in TYPES or len(rows) != len(digests):
        return None
    kept = Kept(path, digests.numpy(), rows)
    if wanted is not None and not any(digest.tobytes() in wanted for digest in kept.digests):
        return None
    found = hashlib.sha256(kept.digests.data)
    found.update(rows.numpy().data)
    return kept if found.digest() == check.numpy().tobytes() else None


def write(path: Path, digests: np.ndarray, blocks: Iterator[Tensor]) -> None:
    """A safetensors file, whole or not at all, that never stands in memory as a whole.

    Raises:
        QuickstudyError: the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            for piece in _pieces(digests, blocks):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise QuickstudyError(
            f"Could not save {path}: {error.strerror or error}. Make room, or name another folder in QUICKSTUDY_CACHE."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _pieces(digests: np.ndarray, blocks: Iterator[Tensor]) -> Iterable[Any]:
    """Header, digests, rows, and the SHA-256 of both, for which the whole need not be read twice."""
    first = next(blocks)
    shape = (len(digests), *first.shape[1:])
    shapes = (("digests", "U8", digests.shape), ("rows", TYPES[first.dtype], shape), ("check", "U8", (32,)))
    ends = np.cumsum([0, digests.nbytes, math.prod(shape) * first.element_size(), 32]).tolist()
    described = {
        name: {"dtype": kind, "shape": size, "data_offsets": ends[i : i + 2]}
        for i, (name, kind, size) in enumerate(shapes)
    }
    header = json.dumps(described).encode()
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little") + header
    check = hashlib.sha256(digests.data)
    yield digests.data
    for block in itertools.chain([first], blocks):
        rows = block.contiguous().numpy().data
        check.update(rows)
        yield rows
    yield check.digest()
