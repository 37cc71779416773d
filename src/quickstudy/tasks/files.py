"""Where files that can be made again are kept, and how a file is written so that nobody ever reads half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def cache_folder() -> Path:
    """The folder for files that can be made again; it need not exist yet.

    QUICKSTUDY_CACHE if set, else XDG_CACHE_HOME/quickstudy, else ~/.cache/quickstudy.

    Raises:
        RuntimeError: no variable names a folder and this user has no home.

    Source: the XDG base directory specification, which says that a relative XDG_CACHE_HOME is to be ignored.

    >>> cache_folder().is_absolute()
    True
    """
    if named := os.environ.get("QUICKSTUDY_CACHE"):
        return Path(named).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "quickstudy"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none of it: a reader meets the old content or the new one, never a part.

    Folders on the way are made. Unlike tempfile's, the temporary name is opened with the user's own umask, so the file
    ends up as readable as any other.

    Raises:
        OSError: the folder cannot be made or written to; what was there before is untouched.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "new" / "a.txt", b"whole")
    ...     (Path(folder) / "new" / "a.txt").read_bytes()
    b'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
