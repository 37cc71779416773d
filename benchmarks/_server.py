"""A service in a process of its own, and what it uses."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUN = "import sys; from quickstudy.cli.serve import serve_command; serve_command(sys.argv[1:])"


@contextlib.contextmanager
def server(
    bundle: Path, threads: int, *, store: str = "", cache: str = "64MiB"
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server in a process of its own, which answers; its port and the process.

    Args:
        bundle: that it serves.
        threads: of torch.
        store: name of the store beside the bundle; a new one when empty.
        cache: ceiling of the states in memory.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = f"sqlite:///{bundle.parent}/{store or time.monotonic_ns()}.db"
    more = ("--port", str(port), "--store", kept, "--threads", str(threads), "--cache", cache)
    process = subprocess.Popen([sys.executable, "-c", RUN, str(bundle), *more], stdout=subprocess.DEVNULL)
    try:
        while True:
            if process.poll() is not None:
                raise ChildProcessError(f"The server ended with {process.returncode} before it answered.")
            with contextlib.suppress(OSError):
                fetched(port, "/readyz")
                break
            time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def fetched(port: int, path: str) -> Any:
    """What is answered there, from JSON."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return json.load(answer)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Bytes of memory that a process holds."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return 1024.0 * int(line.split()[1])
