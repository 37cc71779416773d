"""Files that are whole or not there, and the folder that caches live in."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from .errors import QuickstudyError


def cache_folder() -> Path:
    """Where things that can be made or fetched again are kept: QUICKSTUDY_CACHE, or the user's cache folder."""
    named = os.environ.get("QUICKSTUDY_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "quickstudy"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by new content; after a crash, a full disk or kill -9 the old file is still whole.

    Raises:
        QuickstudyError: the folder cannot be written, with the path and the reason.
    """
    # In the same folder, since a rename is atomic only within one file system; not tempfile's, which only its owner may read.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        kept = "; the file that was there is untouched" if path.exists() else ""
        raise QuickstudyError(f"Could not save {path} ({len(content):,} bytes): {error.strerror or error}{kept}.") from error
