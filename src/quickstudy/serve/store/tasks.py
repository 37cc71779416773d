"""Tasks as they are kept: examples, as given and as numbers; the state that was learned; what happened."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..problems import NoSuchTask, Stale
from .database import Database, Execute
from .kept import Example, Kept, Task, now
from .schema import migrate

COLUMNS = "id, name, kind, learner, classes, version, created, updated"


class TaskStore:
    """The tasks in a database; every method is one transaction, and what it wrote is on the disk when it is back.

    Args:
        database: whose tables are made or brought up to date.
    """

    def __init__(self, database: Database):
        self.database = database
        migrate(database)

    def find(self, task: str) -> Task:
        """One task.

        Raises:
            NoSuchTask: there is none, or it was deleted.
        """
        with self.database.read() as execute:
            rows = execute(f"SELECT {COLUMNS} FROM tasks WHERE id = ? AND deleted IS NULL", (task,))
            if not rows:
                raise NoSuchTask(f"There is no task '{task}'; it may have been deleted.")
            return _with_counts(execute, rows)[0]

    def page(self, search: str, offset: int, limit: int) -> tuple[list[Task], int]:
        """Tasks whose name holds `search`, the last changed first, and how many there are."""
        where, values = "deleted IS NULL", list[Any]()
        if search:
            where += " AND lower(name) LIKE ? ESCAPE '!'"
            values.append("%" + "".join("!" + c if c in "!%_" else c for c in search.lower()) + "%")
        with self.database.read() as execute:
            total = int(execute(f"SELECT count(*) FROM tasks WHERE {where}", values)[0][0])
            order = f"SELECT {COLUMNS} FROM tasks WHERE {where} ORDER BY updated DESC, id LIMIT ? OFFSET ?"
            return _with_counts(execute, execute(order, [*values, limit, offset])), total

    def examples(self, task: str) -> list[Example]:
        """All examples of a task, in the order in which they came."""
        with self.database.read() as execute:
            found = "SELECT id, label, given, encoded, added FROM examples WHERE task = ? ORDER BY place"
            return [Example(i, label, bytes(a), bytes(b), at) for i, label, a, b, at in execute(found, (task,))]

    def history(self, task: str) -> list[tuple[str, str]]:
        """When, and what."""
        with self.database.read() as execute:
            found = "SELECT at, what FROM history WHERE task = ? ORDER BY version, at"
            return [(at, what) for at, what in execute(found, (task,))]

    def versions(self, tasks: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Version and learner of those tasks that exist."""
        with self.database.read() as execute:
            found = f"SELECT id, version, learner FROM tasks WHERE id IN ({_marks(tasks)}) AND deleted IS NULL"
            return {i: (version, learner) for i, version, learner in execute(found, tasks)}

    def states(self, tasks: Sequence[str]) -> dict[str, tuple[int, Kept]]:
        """Version and state of those tasks that have one."""
        with self.database.read() as execute:
            found = f"SELECT task, version, sha256, body FROM states WHERE task IN ({_marks(tasks)})"
            return {i: (version, Kept(sha, bytes(body))) for i, version, sha, body in execute(found, tasks)}

    def put(self, before: Task | None, after: Task, old: Iterable[Example], new: Iterable[Example], state: Kept | None,
            what: str) -> Task:  # fmt: skip
        """A task in the place of what it was, with its examples and its state: all of it or nothing.

        Args:
            before: as it was read; None for a task that is new.
            after: as it is to be; version and time are set here.
            old: its examples as they were read.
            new: its examples as they are to be.
            state: what was learned from them; None where that is not possible yet.
            what: a few words for the history.

        Raises:
            Stale: it was changed since it was read.
        """
        version, at = (1 if before is None else before.version + 1), now()
        with self.database.write() as execute:
            classes = json.dumps(after.classes)
            if before is None:
                row = (after.id, after.name, after.kind, after.learner, classes, version, at, at)
                execute(f"INSERT INTO tasks ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            elif not execute(
                "UPDATE tasks SET name = ?, learner = ?, classes = ?, version = ?, updated = ?"
                " WHERE id = ? AND version = ? AND deleted IS NULL RETURNING id",
                (after.name, after.learner, classes, version, at, after.id, before.version),
            ):
                raise Stale(f"Task '{after.id}' was changed by somebody else in the meantime; try again.")
            _put_examples(execute, after.id, {e.id: e for e in old}, {e.id: e for e in new})
            execute("DELETE FROM states WHERE task = ?", (after.id,))
            if state is not None:
                execute("INSERT INTO states VALUES (?, ?, ?, ?)", (after.id, version, state.sha256, state.body))
            execute("INSERT INTO history VALUES (?, ?, ?, ?)", (after.id, version, at, what))
        return dataclasses.replace(after, version=version, created=after.created or at, updated=at)

    def delete(self, task: str, *, undo: bool = False) -> None:
        """Hide a task with all that belongs to it, or show it again.

        Raises:
            NoSuchTask: there is none, or (to undo) none that was deleted.
        """
        there = "IS NOT NULL" if undo else "IS NULL"
        at = now()
        with self.database.write() as execute:
            changed = execute(
                f"UPDATE tasks SET deleted = ?, version = version + 1, updated = ? WHERE id = ? AND deleted {there}"
                " RETURNING version",
                (None if undo else at, at, task),
            )
            if not changed:
                raise NoSuchTask(f"There is no {'deleted ' if undo else ''}task '{task}'.")
            what = "restored" if undo else "deleted"
            execute("UPDATE states SET version = ? WHERE task = ?", (changed[0][0], task))
            execute("INSERT INTO history VALUES (?, ?, ?, ?)", (task, changed[0][0], at, what))

    def purge(self, days: int) -> None:
        """Take away for good what was deleted so many days ago."""
        long_ago = now(-datetime.timedelta(days=days))
        with self.database.write() as execute:
            gone = "SELECT id FROM tasks WHERE deleted < ?"
            for table in ("history", "states", "examples"):
                execute(f"DELETE FROM {table} WHERE task IN ({gone})", (long_ago,))
            execute("DELETE FROM tasks WHERE deleted < ?", (long_ago,))


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _with_counts(execute: Execute, rows: list[Any]) -> list[Task]:
    if not rows:
        return []
    ids = [row[0] for row in rows]
    counts: dict[str, dict[str, int]] = {i: {} for i in ids}
    grouped = f"SELECT task, label, count(*) FROM examples WHERE task IN ({_marks(ids)}) GROUP BY task, label"
    for task, label, count in execute(grouped, ids):
        counts[task][label] = int(count)
    return [
        Task(i, name, kind, learner, tuple(json.loads(classes)), version, created, updated, counts[i])
        for i, name, kind, learner, classes, version, created, updated in rows
    ]


def _put_examples(execute: Execute, task: str, old: dict[str, Example], new: dict[str, Example]) -> None:
    """Only what differs is written."""
    for i in old.keys() - new.keys():
        execute("DELETE FROM examples WHERE id = ? AND task = ?", (i, task))
    place = int(execute("SELECT coalesce(max(place), 0) FROM examples WHERE task = ?", (task,))[0][0])
    for i, example in new.items():
        if i not in old:
            place += 1
            row = (i, task, place, example.label, example.given, example.encoded, example.added)
            execute("INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        elif example != old[i]:
            changed = (example.label, example.encoded, i)
            execute("UPDATE examples SET label = ?, encoded = ? WHERE id = ?", changed)
