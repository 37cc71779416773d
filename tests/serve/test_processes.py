"""Real servers: killed and stopped under load, several behind one port, and how they are started."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quickstudy.client import Client
from quickstudy.errors import QuickstudyError, UserError

from .conftest import vector

KILLS = int(os.environ.get("QUICKSTUDY_KILLS", "3"))  # benchmarks/service.py does it 20 times
RUN = "import sys; from quickstudy.cli.serve import serve_command; serve_command(sys.argv[1:])"


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@contextlib.contextmanager
def server(bundle: Path, port: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, which answers when this is entered."""
    command = [sys.executable, "-W", "error", "-c", RUN, str(bundle), "--port", str(port), *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    try:
        wait_for(port, process)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(port: int, process: subprocess.Popen[str] | None = None) -> None:
    client, until = Client(f"http://127.0.0.1:{port}", timeout=5), time.monotonic() + 90
    while True:
        try:
            client._send("GET", "/readyz")
            return
        except QuickstudyError:
            dead = process is not None and process.poll() is not None
            if dead or time.monotonic() > until:
                raise
            time.sleep(0.1)


class Teachers(threading.Thread):
    """Makes tasks and teaches them until the server is gone; remembers what was acknowledged."""

    def __init__(self, port: int):
        super().__init__()
        self.client, self.kept = Client(f"http://127.0.0.1:{port}", timeout=10), dict[str, int]()

    def run(self) -> None:
        with contextlib.suppress(QuickstudyError):
            while True:
                task = self.client.make("t", [(vector(c), f"c{c}") for c in range(3)])["id"]
                self.kept[task] = 3
                for k in range(3):
                    self.client.teach(task, [(vector(k, 9), f"c{k}")])
                    self.kept[task] += 1


def test_nothing_acknowledged_is_lost_by_kill_9(bundles: Path, tmp_path: Path) -> None:
    port, chance = free_port(), random.Random(0)
    store = ("--store", f"sqlite:///{tmp_path}/tasks.db")
    kept: dict[str, int] = {}
    for _ in range(KILLS):
        with server(bundles / "vectors", port, *store) as process:
            teachers = [Teachers(port) for _ in range(4)]
            for teacher in teachers:
                teacher.start()
            time.sleep(0.5 + chance.random())
            process.send_signal(signal.SIGKILL)
            for teacher in teachers:
                teacher.join()
                kept |= teacher.kept
    assert len(kept) > KILLS
    with server(bundles / "vectors", port, *store):
        client = Client(f"http://127.0.0.1:{port}")
        for task, count in kept.items():
            assert client.show(task)["examples"] >= count
            assert client.ask(task, [vector(1, 5)])[0]["answer"] == "c1"


def test_a_server_that_is_stopped_finishes_what_it_accepted(bundles: Path, tmp_path: Path) -> None:
    port = free_port()
    with server(bundles / "vectors", port, "--store", f"sqlite:///{tmp_path}/tasks.db") as process:
        teachers = [Teachers(port) for _ in range(3)]
        for teacher in teachers:
            teacher.start()
        time.sleep(0.7)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
        for teacher in teachers:
            teacher.join()
    assert process.returncode in (0, -signal.SIGTERM) and "Traceback" not in said
    with server(bundles / "vectors", port, "--store", f"sqlite:///{tmp_path}/tasks.db"):
        client = Client(f"http://127.0.0.1:{port}")
        for teacher in teachers:
            assert all(client.show(task)["examples"] >= count for task, count in teacher.kept.items())


def workers_of(port: int) -> set[str]:
    """The process that answered, of each of some requests."""
    found = set()
    for _ in range(40):
        text = Client(f"http://127.0.0.1:{port}")._send("GET", "/metrics").decode()
        found.add(text.partition('quickstudy_resident_bytes{worker="')[2].partition('"')[0])
    return found


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_several_processes_share_a_port(bundles: Path, tmp_path: Path) -> None:
    port = free_port()
    options = ("--workers", "2", "--store", f"sqlite:///{tmp_path}/tasks.db")
    with server(bundles / "vectors", port, *options) as process:
        until = time.monotonic() + 60
        while len(workers := workers_of(port)) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        assert len(workers) == 2 and str(process.pid) not in workers
        client = Client(f"http://127.0.0.1:{port}")
        task = client.make("t", [(vector(c), f"c{c}") for c in range(3)])["id"]
        for k in range(12):  # whichever of them answers knows what the other one was taught
            client.teach(task, [(vector(k % 3, k), f"c{k % 3}")])
            assert client.show(task)["examples"] == 4 + k
            assert client.ask(task, [vector(k % 3, 50)])[0]["answer"] == f"c{k % 3}"
        process.send_signal(signal.SIGKILL)  # whoever watches over them is gone: so are they, soon
        until = time.monotonic() + 30
        while not all(gone(int(pid)) for pid in workers) and time.monotonic() < until:
            time.sleep(0.2)
        assert all(gone(int(pid)) for pid in workers)


def said(*options: str) -> tuple[int, str]:
    """Exit code and message of a command line that does not get as far as serving."""
    from quickstudy.cli.serve import serve_command

    try:
        serve_command.main(list(options), standalone_mode=False)
    except QuickstudyError as error:
        return (2 if isinstance(error, UserError) else 1), str(error)
    return 0, ""


def test_what_cannot_be_started_is_said(bundles: Path, tmp_path: Path) -> None:
    bundle, kept = str(bundles / "vectors"), f"sqlite:///{tmp_path}/tasks.db"
    assert "no bundle" in said(str(tmp_path / "none"), "--port", "0", "--store", kept)[1]
    assert "--token-file" in said(bundle, "--host", "0.0.0.0", "--port", "0")[1]
    assert "sqlite:///PATH" in said(bundle, "--store", "mysql://x", "--port", "0")[1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in said(bundle, "--port", str(taken.getsockname()[1]), "--store", kept)[1]


def test_the_client_says_what_the_service_says(bundles: Path, tmp_path: Path) -> None:
    with pytest.raises(QuickstudyError, match="cannot be reached"):
        Client(f"http://127.0.0.1:{free_port()}").tasks()
    with pytest.raises(UserError, match="http://"):
        Client("file:///etc/passwd")
    port, token = free_port(), tmp_path / "token"
    with server(
        bundles / "vectors", port, "--store", f"sqlite:///{tmp_path}/tasks.db", "--token-file", str(token)
    ) as it:
        assert it.stdout is not None
        line = it.stdout.readline()
        secret = line.partition("token=")[2].split()[0]
        assert secret not in token.read_text()
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(UserError, match="token"):
            Client(url).tasks()
        client = Client(url, token=secret)
        assert client.bundle()["takes"] == "numbers"
        made = client.make("Birds", classes=["c0"])
        client.teach(made["id"], [(vector(c, k), f"c{c}") for c in range(2) for k in range(2)])
        assert client.ask(made["id"], [vector(1, 7)], unsure_below=1.0)[0]["unsure"]
        assert client.answer([(vector(0), "a"), (vector(1), "b")], [vector(1)])[0]["answer"] == "b"
        assert client.quality(made["id"])["examples"] == 4 and client.explain(made["id"], vector(0))["nearest"]
        assert json.loads(client.export(made["id"]))["name"] == "Birds"
        assert client.change(made["id"], "New", rename={"c0": "zero"}, add=["more"])["name"] == "New"
        first = client.show(made["id"])["items"][0]["id"]
        assert client.forget(made["id"], first)["examples"] == 3
        client.delete(made["id"])
        with pytest.raises(UserError, match="no task"):
            client.show(made["id"])
        assert client.restore(made["id"])["examples"] == 3 and [t["id"] for t in client.tasks("ew")] == [made["id"]]
        with pytest.raises(UserError, match="nothing here"):
            client.show("../../bundle")
