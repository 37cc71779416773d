"""The tables of a store, and how older ones become those of today."""

from __future__ import annotations

from ...errors import BadFile
from .database import Database

# What was released is never edited: a change is one more entry. {bytes} is the database's own type of bytes.
MIGRATIONS = (
    (
        "CREATE TABLE tasks (id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, learner TEXT NOT NULL,"
        " classes TEXT NOT NULL, version INTEGER NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL, deleted TEXT)",
        "CREATE INDEX tasks_by_time ON tasks (updated)",
        "CREATE TABLE examples (id TEXT PRIMARY KEY, task TEXT NOT NULL REFERENCES tasks (id), place INTEGER NOT NULL,"
        " label TEXT NOT NULL, given {bytes} NOT NULL, encoded {bytes} NOT NULL, added TEXT NOT NULL)",
        "CREATE INDEX examples_by_task ON examples (task, place)",
        "CREATE TABLE states (task TEXT PRIMARY KEY REFERENCES tasks (id), version INTEGER NOT NULL,"
        " sha256 TEXT NOT NULL, body {bytes} NOT NULL)",
        "CREATE TABLE history (task TEXT NOT NULL REFERENCES tasks (id), version INTEGER NOT NULL, at TEXT NOT NULL,"
        " what TEXT NOT NULL)",
        "CREATE INDEX history_by_task ON history (task, version)",
    ),
)


def migrate(database: Database) -> None:
    """Bring the tables to the newest form; several processes may do so at once.

    Raises:
        BadFile: they are newer than this quickstudy.
        StoreDown: the database does not work.
    """
    with database.write(alone=True) as execute:
        execute("CREATE TABLE IF NOT EXISTS quickstudy_store (version INTEGER NOT NULL)", ())
        rows = execute("SELECT version FROM quickstudy_store", ())
        there = int(rows[0][0]) if rows else 0
        if there > len(MIGRATIONS):
            raise BadFile(
                f"The store is of version {there}, newer than {len(MIGRATIONS)}, the newest known here; update"
                " quickstudy, or give another --store."
            )
        for statements in MIGRATIONS[there:]:
            for statement in statements:
                execute(statement.format(bytes=database.bytes_type), ())
        if not rows:
            execute("INSERT INTO quickstudy_store VALUES (?)", (len(MIGRATIONS),))
        elif there < len(MIGRATIONS):
            execute("UPDATE quickstudy_store SET version = ?", (len(MIGRATIONS),))
