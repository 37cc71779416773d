"""A store in one file: SQLite with a write-ahead log, synchronised to the disk at each commit."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import BadFile, UserError
from ..problems import StoreDown
from .database import Execute

WAIT = 4.0  # seconds for another program to let go of the file, less than a request's deadline
GONE = "The store was moved or deleted, so nothing was changed; put it back and start again."
SAID = (
    ("unable to open", GONE),
    ("locked", "The store is locked by another program; try again."),
    ("busy", "The store is locked by another program; try again."),
    ("full", "The disk of the store is full, so nothing was changed; make room."),
    ("readonly", "The store cannot be written to, so nothing was changed; see to its permissions."),
    ("malformed", "The store is damaged; stop the service and put a copy of it back."),
    ("not a database", "The store is damaged; stop the service and put a copy of it back."),
)


class SQLite:
    """One file with its log beside it; each thread has a connection, and one thread at a time writes.

    Args:
        path: of the file, made where it is missing.

    Raises:
        UserError: it cannot be made or opened.
        BadFile: something else than a database.
    """

    bytes_type = "BLOB"

    def __init__(self, path: Path):
        self.path = path.resolve()
        self._local, self._writing = threading.local(), threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)  # what users teach is theirs alone
            self._file = self._now()
            self._connection().execute("PRAGMA schema_version").fetchone()
        except sqlite3.DatabaseError as error:
            kind = BadFile if "not a database" in str(error) or "malformed" in str(error) else UserError
            raise kind(f"The store {self.path} cannot be opened: {error}; give another --store.") from error
        except OSError as error:
            raise UserError(f"The store {self.path} cannot be made: {error.strerror}; give another --store.") from error

    def _now(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def _connection(self) -> sqlite3.Connection:
        made: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if made is None:
            # Never made anew: where the file was deleted, an empty one would look like a store without tasks.
            made = sqlite3.connect(
                f"{self.path.as_uri()}?mode=rw", uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False
            )
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("PRAGMA synchronous = FULL")
            self._local.connection = made
            self._connections.append(made)
        return made

    @contextlib.contextmanager
    def read(self) -> Iterator[Execute]:
        with _explained():
            connection = self._connection()

            def execute(statement: str, values: Sequence[Any]) -> list[Any]:
                return connection.execute(statement, values).fetchall()

            yield execute

    @contextlib.contextmanager
    def write(self, *, alone: bool = False) -> Iterator[Execute]:
        del alone  # every writer is
        with self._writing, self.read() as execute:
            self._check_there()
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield execute
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _check_there(self) -> None:
        """What is written into a file that was deleted is gone with the last process that has it open."""
        with contextlib.suppress(OSError):
            if self._now() == self._file:
                return
        raise StoreDown(GONE)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        said = next((words for sign, words in SAID if sign in str(error)), "The store cannot be used now; see the log.")
        raise StoreDown(said) from error
