"""What a service is started with, and the limits that keep it standing."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one service takes at most.

    Args:
        body: bytes of a request.
        depth: of nested JSON.
        pixels: of a picture.
        rows: examples or questions of one request.
        examples: of a task.
        classes: of a task.
        queue: requests that wait for the learner; one more is answered 503.
        batch: requests that are answered together.
        deadline: seconds until a request is answered 504.
        rate: requests a second of one client, twice as many at once; None for no limit. Clients on the same machine are
            limited only by `local_rate`.
        local_rate: the same for clients on this machine.
        cache: bytes of states that are kept in memory.
    """

    body: int = 16 * 2**20
    depth: int = 24
    pixels: int = 25_000_000
    rows: int = 1_000
    examples: int = 5_000
    classes: int = 200
    queue: int = 512
    batch: int = 64
    deadline: float = 10.0
    rate: float | None = 100.0
    local_rate: float | None = None
    cache: int = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a service serves, and to whom. It can be pickled, for worker processes.

    Args:
        bundle: folder of the learner.
        store: 'sqlite:///PATH' or 'postgresql://...'.
        host: address that is listened at; anything but loopback needs a token.
        port: of it.
        token: SHA-256 of the token that clients must show, in hexadecimal; None for no token.
        names: host names, besides addresses and localhost, that the service may be called by.
        runs: folder of training runs that the page shows.
        threads: of torch, for each process; None for what torch takes by itself.
        limits: see there.
    """

    bundle: Path
    store: str
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: tuple[str, ...] = ()
    runs: Path | None = None
    threads: int | None = None
    limits: Limits = Limits()
