"""Files from an official address, whole and checked or not at all; and archives that are opened with suspicion."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import secrets
import struct
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from ...errors import BadFile, MissingData, QuickstudyError

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much

BLOCK = 1 << 16  # bytes read at a time
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error)


@dataclasses.dataclass(frozen=True)
class Source:
    """An official file.

    Args:
        url: its address, https.
        hash: 'sha256:...' or 'md5:...', in hexadecimal digits.
        size: in bytes, exactly.

    >>> Source("https://example.org/data/cats.zip", "md5:0", 7).file
    'cats.zip'
    """

    url: str
    hash: str
    size: int

    @property
    def file(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[1]


def download(source: Source, folder: Path, *, progress: Progress | None = None, timeout: float = 30.0) -> Path:
    """The file in that folder, downloaded unless it is there already with the right hash.

    It gets its name only when it is whole and its hash is right, so nobody ever meets a part of it.

    Args:
        timeout: seconds without a byte after which the address counts as silent.

    Raises:
        MissingData: the address cannot be reached, with the reason and how to do without a network.
        BadFile: what came is shorter, longer or other than what was published, with both hashes.
        QuickstudyError: the folder cannot be written to.
    """
    path = folder / source.file
    if path.is_file() and hash_of(path, source.hash) == source.hash:
        return path
    part = folder / f".{source.file}.{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            done = _receive(source, path, file, progress, timeout)
        _check(source, path, done, hash_of(part, source.hash))
        part.replace(path)
    except OSError as error:  # of the disk: those of the network have been translated
        raise QuickstudyError(f"Could not save {path} ({source.size:,} bytes): {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _receive(source: Source, path: Path, file: BinaryIO, progress: Progress | None, timeout: float) -> int:
    done = 0
    for block in _blocks(source, path, timeout):
        done += len(block)
        if done > source.size:
            raise BadFile(
                f"{source.url} sends more than the {source.size:,} bytes that were published; nothing is kept."
            )
        file.write(block)
        if progress is not None:
            progress(source.file, done, source.size)
    return done


def _blocks(source: Source, path: Path, timeout: float) -> Iterator[bytes]:
    if not source.url.startswith("https://"):
        raise BadFile(f"{source.url} is not an https address, so whatever comes from there could have been altered.")
    try:
        with open_url(source.url, timeout) as response:
            while block := response.read(BLOCK):
                yield block
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = getattr(error, "reason", None) or error
        raise MissingData(
            f"Could not download {source.url}: {reason}. Try again when the network is there; or bring the file from"
            f" another machine as {path}, and run this again."
        ) from error


def _check(source: Source, path: Path, done: int, found: str) -> None:
    if done < source.size:
        raise BadFile(
            f"{source.url} broke off after {done:,} of {source.size:,} bytes; nothing is kept. Try again, or bring the"
            f" file from another machine as {path}."
        )
    if found != source.hash:
        raise BadFile(
            f"{source.url} is not the file that was published: its hash is {found}, expected {source.hash}. Nothing is"
            " kept. If it is so again, the file was replaced or the network alters it; please tell us."
        )


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not away from https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https://"):
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(url: str, timeout: float) -> Any:
    """The answer of a web server, to be read in blocks."""
    request = urllib.request.Request(url, headers={"User-Agent": "quickstudy"})
    return urllib.request.build_opener(_OnlyHttps).open(request, timeout=timeout)


def hash_of(path: Path, like: str = "sha256:") -> str:
    """A file's hash, of the kind that `like` begins with.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "a").write_bytes(b"")
    ...     hash_of(Path(folder) / "a", like="md5:")
    0
    'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    kind = like.split(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()}"


def read_archive(path: Path, *, most_files: int = 100_000, most_bytes: int = 1 << 31) -> Iterator[tuple[str, bytes]]:
    """Name and content of every file in a zip or .tar.gz archive, by name; nothing is unpacked to the disk.

    Links and devices in a tar are no files, and are passed over.

    Raises:
        BadFile: no archive, a damaged one, one with names that lead out of a folder, or one that unpacks to more than
            `most_files` files or `most_bytes` bytes.
    """
    tar = path.name.endswith((".tar.gz", ".tgz"))
    try:
        with tarfile.open(path, "r:gz") if tar else zipfile.ZipFile(path) as archive:
            entries: dict[str, Any] = {}
            files = size = 0
            for name, length, entry in _entries(archive):  # a tar is unpacked to be listed: no further than is allowed
                files, size = files + 1, size + length
                if files > most_files or size > most_bytes:
                    raise BadFile(
                        f"{path} unpacks to at least {files:,} files and {size:,} bytes; at most {most_files:,} files"
                        f" and {most_bytes:,} bytes are read."
                    )
                _check_name(path, name)
                entries[name] = entry
            for name in sorted(entries):
                yield name, _content(archive, entries[name])
    except (*DAMAGED, struct.error, EOFError, OSError, RuntimeError) as error:
        kind = "tar" if tar else "zip"
        raise BadFile(f"{path} cannot be read as a {kind} archive: {error}. Delete it and fetch it again.") from error


def _entries(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[tuple[str, int, Any]]:
    """(name, bytes, entry) of every file."""
    if isinstance(archive, zipfile.ZipFile):
        yield from ((entry.filename, entry.file_size, entry) for entry in archive.infolist() if not entry.is_dir())
    else:
        yield from ((entry.name, entry.size, entry) for entry in archive if entry.isfile())


def _content(archive: zipfile.ZipFile | tarfile.TarFile, entry: Any) -> bytes:
    """What an entry holds, and no more of it than was counted."""
    if isinstance(archive, zipfile.ZipFile):
        with archive.open(entry) as file:
            return file.read(entry.file_size)
    inside = archive.extractfile(entry)
    assert inside is not None  # it is None for what is no file
    with inside:
        return inside.read(entry.size)


def read_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Some arrays of an npz file, without pickles.

    Raises:
        BadFile: the file is damaged, or lacks one of them.
    """
    try:
        # Opened here: numpy leaves a file open when it is no archive.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise BadFile(
            f"{path} cannot be read ({error}); it is damaged or something else. Delete it and fetch it again."
        ) from error


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise BadFile(
            f"{path} holds an entry called '{name}', which leads out of the folder; it is not an honest archive."
        )
