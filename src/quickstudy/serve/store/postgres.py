"""A store that several machines share: PostgreSQL."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import UserError
from ...extras import brought_in
from ..problems import StoreDown
from .database import Execute

WAIT = 4  # seconds to connect, for a lock, and for a statement: less than a request's deadline
ALONE = 7_105_115  # number of the lock under which tables are made


class PostgreSQL:
    """A database of a PostgreSQL server; each thread has a connection, and a lost one is made again at the next use.

    Args:
        url: as psycopg reads it: postgresql://USER:PASSWORD@HOST:PORT/NAME.

    Raises:
        UserError: psycopg is not installed, or there is no such database.
    """

    bytes_type = "BYTEA"

    def __init__(self, url: str):
        self._psycopg = brought_in("psycopg", "A store in PostgreSQL", "postgres")
        self.url, self._local, self._connections = url, threading.local(), list[Any]()
        try:
            self._connection()
        except self._psycopg.Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"The store cannot be reached ({reason}); start PostgreSQL, or see to --store.") from error

    def _connection(self) -> Any:
        made = getattr(self._local, "connection", None)
        if made is None or made.closed:
            wait = f"-c statement_timeout={1000 * WAIT} -c lock_timeout={1000 * WAIT} -c synchronous_commit=on"
            made = self._psycopg.connect(
                self.url,
                connect_timeout=WAIT,
                options=wait,
                autocommit=True,
                client_encoding="UTF8",  # a server set up without a locale would return text as bytes
            )
            self._local.connection = made
            self._connections = [c for c in self._connections if not c.closed] + [made]
        return made

    @contextlib.contextmanager
    def read(self) -> Iterator[Execute]:
        with self._explained():
            connection = self._connection()

            def execute(statement: str, values: Sequence[Any]) -> list[Any]:
                cursor = connection.execute(statement.replace("?", "%s"), values)
                return [] if cursor.description is None else cursor.fetchall()

            yield execute

    @contextlib.contextmanager
    def write(self, *, alone: bool = False) -> Iterator[Execute]:
        with self.read() as execute, self._connection().transaction():
            if alone:
                execute("SELECT pg_advisory_xact_lock(?)", (ALONE,))
            yield execute

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            connection = getattr(self._local, "connection", None)
            if connection is not None:
                connection.close()  # whatever state it is in: the next use makes another
            raise StoreDown("The store cannot be reached or is busy, so nothing was changed; try again.") from error
