"""Clients of a service that ask as fast as they are answered, over connections that are kept open."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass
class Load:
    """What some clients met.

    Args:
        seconds: of each request, answered or not.
        errors: status and body of each that was not answered 2xx; the kind of failure where nothing came.
        took: seconds from the first request to the last answer.
        answers: bodies, where somebody keeps them.
    """

    seconds: list[float] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)
    took: float = 0.0
    answers: list[Any] = dataclasses.field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return (len(self.seconds) - len(self.errors)) / self.took

    def percentile(self, share: float) -> float:
        """Milliseconds that this share of requests stayed below."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


Request = tuple[str, str, Any]  # method, path, body


async def clients(
    port: int,
    count: int,
    requests: Callable[[int], Iterator[Request]],
    heard: Callable[[Request, Any], None] | None = None,
) -> Load:
    """Let clients send their requests, each one after another, until they have no more.

    Args:
        port: of the service on this machine.
        count: of clients.
        requests: number of a client -> what it sends; a client ends when the service is gone.
        heard: told each request and the body of its answer.
    """
    load, began = Load(), time.perf_counter()
    await asyncio.gather(*(_client(port, requests(i), load, heard) for i in range(count)))
    load.took = time.perf_counter() - began
    return load


async def _client(port: int, requests: Iterator[Request], load: Load, heard: Any) -> None:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            began = time.perf_counter()
            writer.write(packet(*request))
            status, body = await answered(reader)
            load.seconds.append(time.perf_counter() - began)
            if not 200 <= status < 300:
                load.errors.append(f"{status} {body[:200]!r}")
            elif heard is not None:
                heard(request, json.loads(body) if body else None)
        writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        load.errors.append(type(error).__name__)


def packet(method: str, path: str, body: Any) -> bytes:
    """A request as it goes over the wire."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
    return int(head[9:12]), await reader.readexactly(int(length or 0))
