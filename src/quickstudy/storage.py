"""Files that are whole or not there, and the folder that caches live in."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import QuickstudyError, UserError


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
    # In the same folder, since a rename is atomic only within one file system. Not one of tempfile: those are readable
    # by their owner alone, and would stay so.
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
        raise QuickstudyError(
            f"Could not save {path} ({len(content):,} bytes): {error.strerror or error}{kept}."
        ) from error


@contextlib.contextmanager
def replaced_folder(path: Path, *, ours: tuple[str, ...]) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path` when it is complete and not before.

    When the block fails, whatever stood at `path` is as it was. Files in the old folder that are not `ours` are kept.
    Only between two renames is there nothing at `path`; the old folder is then `.NAME.old` beside it, and is
    put back by the next call.

    Args:
        path: the folder.
        ours: the files that it may hold; the first one shows that an existing folder is ours to replace.

    Raises:
        UserError: something else stands there.
        QuickstudyError: the disk is full, or cannot be written to.
    """
    path = path.resolve()
    if path.exists() and not (path.is_dir() and ((path / ours[0]).is_file() or not any(path.iterdir()))):
        raise UserError(f"{path} exists and holds something else (there is no {ours[0]} in it); choose another folder.")
    fresh, old = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part"), path.with_name(f".{path.name}.old")
    try:
        fresh.mkdir(parents=True)
        if not path.exists() and old.is_dir():
            old.rename(path)
        yield fresh
        _exchange(path, fresh, old, ours)
    except OSError as error:
        kept = "; what was there is untouched" if path.exists() else ""
        raise QuickstudyError(f"Could not save {path}: {error.strerror or error}{kept}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _exchange(path: Path, fresh: Path, old: Path, ours: tuple[str, ...]) -> None:
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    try:
        fresh.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    if old.exists():
        for entry in old.iterdir():
            if entry.name not in ours and not (path / entry.name).exists():
                entry.rename(path / entry.name)
        shutil.rmtree(old, ignore_errors=True)
