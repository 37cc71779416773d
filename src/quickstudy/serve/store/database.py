"""What a store asks of a database: reads, and transactions that are on the disk when they are left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from ...errors import UserError

# A statement with ? for its values -> rows
Execute = Callable[[str, Sequence[Any]], list[Any]]


class Database(Protocol):
    """SQLite or PostgreSQL; any thread may use it.

    Attributes:
        bytes_type: what a column of bytes is called.
    """

    bytes_type: str

    def read(self) -> AbstractContextManager[Execute]:
        """Statements that change nothing.

        Raises:
            StoreDown: it cannot be read.
        """
        ...

    def write(self, *, alone: bool = False) -> AbstractContextManager[Execute]:
        """One transaction: all of it is on the disk when the block is left, none of it when the block fails.

        Args:
            alone: nobody else writes meanwhile, in another process either.

        Raises:
            StoreDown: it cannot be written.
        """
        ...

    def close(self) -> None: ...


def database_of(url: str) -> Database:
    """The database that a URL names: 'sqlite:///PATH' (a fourth slash for a path from the root), 'postgresql://...'.

    Raises:
        UserError: neither; or psycopg is not installed.
    """
    kind, _, rest = url.partition("://")
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from .sqlite import SQLite

        return SQLite(Path(rest[1:]))
    if kind in ("postgresql", "postgres"):
        from .postgres import PostgreSQL

        return PostgreSQL(url)
    raise UserError(f"A store is sqlite:///PATH or postgresql://USER@HOST/NAME, not '{url}'.")
