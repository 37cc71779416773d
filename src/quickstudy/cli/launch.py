"""Start this command again in several processes, and end it when one of them does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from ..errors import TrainingStopped, UserError
from .main import EXIT_INTERRUPTED, LAUNCHED

PATIENCE = 20.0  # seconds for the others to notice that one is gone, before they are killed
INTERRUPTED = (EXIT_INTERRUPTED, -signal.SIGINT, -signal.SIGTERM)


def launched(arguments: Sequence[str], processes: int) -> int:
    """Run `quickstudy` with these arguments in so many processes that train together; their exit code.

    Raises:
        UserError: fewer than one.
        TrainingStopped: one of them was killed or failed in a way of its own; the others have been stopped.
    """
    if processes < 1:
        raise UserError(f"--processes is {processes}; it must be at least 1.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {LAUNCHED: "1"}
    command = [sys.executable, "-m", "quickstudy", *arguments]
    running = [
        subprocess.Popen(command, env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    try:
        with _passing_on(running):
            codes = _waited(running)
    finally:
        for process in running:
            process.kill()
    if all(code == 0 for code in codes):
        return 0
    if any(code in INTERRUPTED for code in codes):
        raise KeyboardInterrupt
    killed = [f"{rank} by signal {-code}" for rank, code in enumerate(codes) if code is not None and code < 0]
    if killed:
        raise TrainingStopped(
            f"Of {processes} processes, number {', '.join(killed)} was killed; the others were stopped. All up to the"
            " last checkpoint is saved: go on with --resume, with any number of processes."
        )
    return max(code or 0 for code in codes)


def _waited(running: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """Exit codes, once all are done; None for those that had to be killed because another one failed."""
    deadline: float | None = None
    while True:
        codes = [process.poll() for process in running]
        if all(code is not None for code in codes):
            return list(codes)
        if deadline is None and any(code for code in codes):
            deadline = time.monotonic() + PATIENCE
        if deadline is not None and time.monotonic() > deadline:
            return list(codes)
        time.sleep(0.1)


@contextlib.contextmanager
def _passing_on(running: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Ctrl-C reaches all processes from the terminal; a signal to this one alone is handed on to them."""

    def hand_on(number: int, _: object) -> None:
        if number == signal.SIGTERM:
            for process in running:
                process.terminate()

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
