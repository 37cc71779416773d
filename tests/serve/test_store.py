"""What was acknowledged is kept: through damage, locks, full disks, and many who write at once."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from quickstudy.errors import BadFile, UserError
from quickstudy.serve.model.packing import Learned, packed, unpacked
from quickstudy.serve.problems import NoSuchTask, Stale, StoreDown
from quickstudy.serve.store import sqlite
from quickstudy.serve.store.database import database_of
from quickstudy.serve.store.kept import Example, Task, new_id
from quickstudy.serve.store.schema import MIGRATIONS
from quickstudy.serve.store.tasks import TaskStore
from quickstudy.state import Envelope

from .conftest import examples, vector
from .test_tasks import answers, error, made


def task(name: str = "t") -> Task:
    return Task(new_id(), name, "classification", "learner", ("a", "b"), 0, "", "")


def example(label: str = "a") -> Example:
    return Example(new_id(), label, b"[1]", b"\x00\xff", "now")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TaskStore]:
    """An empty store, of each kind."""
    if request.param == "sqlite":
        made = TaskStore(database_of(f"sqlite:///{tmp_path}/tasks.db"))
    else:
        made = TaskStore(database_of(request.getfixturevalue("postgres")))
        with made.database.write() as execute:
            for name in ("history", "states", "examples", "tasks"):
                execute(f"DELETE FROM {name}", ())
    yield made
    made.database.close()


def test_what_goes_in_comes_out(store: TaskStore) -> None:
    some = [example("a"), example("b"), example("a")]
    state = packed(Learned(torch.arange(3.0), Envelope("learner", ("a", "b"))))
    first = store.put(None, task("Ω 'quoted' ; DROP TABLE tasks"), [], some, state, "made")
    assert first.version == 1 and store.find(first.id).counts == {"a": 2, "b": 1}
    assert store.examples(first.id) == some and store.history(first.id)[0][1] == "made"
    version, kept = store.states([first.id])[first.id]
    assert version == 1 and torch.equal(unpacked(kept, torch.Tensor, 1).state, torch.arange(3.0))
    again = store.put(first, first, some, some[1:], None, "less")
    assert again.version == 2 and store.examples(first.id) == some[1:] and not store.states([first.id])
    with pytest.raises(Stale):
        store.put(first, first, some, some, None, "too late")
    assert store.examples(first.id) == some[1:] and len(store.history(first.id)) == 2


def test_a_change_that_fails_leaves_nothing(store: TaskStore) -> None:
    twice = example()
    before = store.put(None, task(), [], [twice], None, "made")
    with pytest.raises(StoreDown):
        store.put(None, task(), [], [example(), twice], None, "the same example again")
    assert store.page("", 0, 9)[1] == 1 and store.examples(before.id) == [twice]


def test_delete_and_undo(store: TaskStore) -> None:
    made = store.put(None, task(), [], [example()], None, "made")
    with pytest.raises(NoSuchTask):
        store.delete(made.id, undo=True)
    store.delete(made.id)
    with pytest.raises(NoSuchTask):
        store.find(made.id)
    with pytest.raises(Stale):
        store.put(made, made, [], [], None, "on a deleted one")
    store.delete(made.id, undo=True)
    assert store.find(made.id).version == 3


def test_what_was_deleted_long_ago_is_gone_for_good(store: TaskStore) -> None:
    kept, gone = (store.put(None, task(), [], [example()], None, "made") for _ in range(2))
    store.delete(gone.id)
    store.purge(1)
    store.delete(gone.id, undo=True)
    store.delete(gone.id)
    store.purge(-1)  # as of tomorrow
    with pytest.raises(NoSuchTask):
        store.delete(gone.id, undo=True)
    assert not store.examples(gone.id) and not store.history(gone.id) and len(store.examples(kept.id)) == 1


def test_of_many_who_change_one_task_each_is_kept(store: TaskStore) -> None:
    first = store.put(None, task(), [], [], None, "made")
    lost: list[BaseException] = []

    def add() -> None:
        try:
            for _ in range(5):
                while True:
                    now, old = store.find(first.id), store.examples(first.id)
                    with contextlib.suppress(Stale):
                        store.put(now, now, old, [*old, example()], None, "more")
                        break
        except BaseException as error:
            lost.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not lost and len(store.examples(first.id)) == 20 and store.find(first.id).version == 21


def test_tables_are_made_once_by_many(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    failed: list[BaseException] = []

    def open_store() -> None:
        try:
            TaskStore(database_of(url)).database.close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_store) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_store_of_a_newer_quickstudy(store: TaskStore) -> None:
    with store.database.write() as execute:
        execute("UPDATE quickstudy_store SET version = ?", (len(MIGRATIONS) + 1,))
    try:
        with pytest.raises(BadFile, match="newer"):
            TaskStore(store.database)
    finally:
        with store.database.write() as execute:
            execute("UPDATE quickstudy_store SET version = ?", (len(MIGRATIONS),))


@pytest.mark.parametrize("url", ["", "tasks.db", "sqlite://tasks.db", "sqlite:///", "mysql://x", "/tmp/x"])
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(UserError, match="sqlite:///PATH"):
        database_of(url)


def test_files_that_are_no_store(tmp_path: Path) -> None:
    (tmp_path / "tasks.db").write_text("a long story, and no database at all" * 99)
    with pytest.raises(BadFile, match="not a database"):
        database_of(f"sqlite:///{tmp_path}/tasks.db")
    with pytest.raises(UserError, match=r"cannot be made|cannot be opened"):
        database_of(f"sqlite:///{tmp_path}")


def test_an_altered_state_is_found_and_learned_again(started: Callable[..., Any], tmp_path: Path) -> None:
    client = started()
    task = made(client, examples=examples(2, 2))["id"]
    before = answers(client, task, vector(0, 5))
    other = started()  # a second process, with nothing in memory
    with sqlite3.connect(tmp_path / "tasks.db") as connection:
        (body,) = connection.execute("SELECT body FROM states").fetchone()
        connection.execute("UPDATE states SET body = ?", (body[:-4] + b"\x00\x00\xc0\x7f",))
    connection.close()
    assert answers(other, task, vector(0, 5)) == before
    assert answers(client, task, vector(0, 5)) == before


def refused(client: Any, task: str, words: str) -> None:
    """Nothing is acknowledged, and the message is clear."""
    for answer in (
        client.post("/v1/tasks", json={"name": "new"}),
        client.post(f"/v1/tasks/{task}/examples", json={"examples": examples(1, 1, seed=7)}),
    ):
        status, kind, message = error(answer)
        assert (status, kind) == (503, "StoreDown") and words in message and answer.headers["retry-after"]
        assert "/" not in message and "sqlite" not in message.lower()
    assert client.get("/healthz").status_code == 200


def test_a_locked_store(started: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT", 0.1)
    client = started()
    task = made(client, examples=examples(2, 2))["id"]
    connection = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    refused(client, task, "locked")
    assert answers(client, task, vector(1, 5))[0]["answer"] == "class 1"  # who only reads need not wait
    assert client.get("/v1/tasks").json()["total"] == 1
    connection.execute("ROLLBACK")
    connection.close()
    assert client.post("/v1/tasks", json={}).status_code == 201


def test_a_deleted_store(started: Callable[..., Any], tmp_path: Path) -> None:
    client = started()
    task = made(client, examples=examples(2, 2))["id"]
    (tmp_path / "tasks.db").rename(tmp_path / "elsewhere")
    refused(client, task, "moved or deleted")
    (tmp_path / "elsewhere").rename(tmp_path / "tasks.db")
    assert client.post("/v1/tasks", json={}).status_code == 201
    assert answers(client, task, vector(1, 5))[0]["answer"] == "class 1"
    assert client.get("/v1/tasks").json()["total"] == 2


def test_a_full_disk(started: Callable[..., Any]) -> None:
    client = started()
    task = made(client, examples=examples(2, 2))["id"]
    database = client.app.state.service.store.database
    for connection in database._connections:
        connection.execute("PRAGMA max_page_count = 1")  # as many as there are: no page can be added
    ok = True
    for i in range(300):
        answer = client.post("/v1/tasks", json={"examples": examples(3, 9, seed=i)})
        if ok := answer.status_code == 201:
            continue
        assert error(answer)[:2] == (503, "StoreDown") and "full" in error(answer)[2]
        break
    assert not ok and client.get("/v1/tasks").json()["total"] == i + 1
    assert answers(client, task, vector(1, 5))[0]["answer"] == "class 1"
    for connection in database._connections:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert client.post("/v1/tasks", json={"examples": examples(3, 9)}).status_code == 201


def test_a_damaged_store(started: Callable[..., Any], tmp_path: Path) -> None:
    client = started()
    for i in range(20):
        made(client, examples=examples(3, 5, seed=i))
    for connection in client.app.state.service.store.database._connections:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (tmp_path / "tasks.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_960)
    told = [client.get("/v1/tasks"), client.post("/v1/tasks", json={"examples": examples(3, 5)})]
    assert any(a.status_code == 503 for a in told) and all(a.status_code < 500 or a.status_code == 503 for a in told)
    assert client.get("/healthz").status_code == 200
