"""The service under load, on this machine: latency, throughput, memory, and what kill -9 leaves (docs/results.md).

    python benchmarks/service.py
    python benchmarks/service.py --only soak --minutes 10

Server and clients share the machine, over connections that are kept open. `adapt`: one client makes tasks of 5 classes
with 5 pictures of 28 x 28 each, which a Conv-4 learns. `predict`: 8 clients ask one question at a time about 16
tasks of vectors, a prototypical network over 64 numbers; errors are those of 64 clients. `tasks`: 10,000 tasks are
made, each is asked once in random order, and the list is paged and searched. `soak`: 8 clients make and ask tasks of
vectors, with a cache that 5,000 of them fill; memory is compared with that after a fifth of the time. `kill`: the
server is killed at random times while 8 clients make and teach tasks, and started again on the same store; an example
is lost when it was acknowledged and is not there at the end. Learners have the weights that they begin with: time does
not depend on them. Intervals are over rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import _records
from _load import Load, Request, clients
from _server import cpu_seconds, fetched, resident, server
from quickstudy.bundle import save_bundle
from quickstudy.evaluation.intervals import mean_interval
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.rng import Rng, forked

WIDTH, WAYS, SHOTS, TASKS = 64, 5, 5, 16
CACHE = "8MiB"  # of the soak: a ceiling that its first tasks reach, so that what grows after them is no cache
NUMBERS = np.random.default_rng(0)


def main() -> None:
    parser = _records.arguments(__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="of the soak")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with forked(Rng(0)):
            save_bundle(home / "vectors", Prototypical(MLP(WIDTH, 64, hidden=(64,))), feature=(WIDTH,))
            save_bundle(home / "pictures", Prototypical(Conv4()), feature=(1, 28, 28))
        for work in (adapt, predict, tasks, soak, kill):
            if options.only in f"service/{work.__name__}":
                _records.write("service", work(home, options), quick=options.quick)


def adapt(home: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    rounds, each = (2, 4) if options.quick else (5, 60)
    with server(home / "pictures", options.threads) as (port, _):
        run(port, 1, taught, 4)
        loads = [run(port, 1, taught, each) for _ in range(rounds)]
    value = [load.percentile(0.95) for load in loads]
    return [record("adapt", "p95_ms", value, loads, learner="prototypical, Conv-4")]


def predict(home: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    rounds, each = (2, 10) if options.quick else (5, 500)
    with server(home / "vectors", options.threads) as (port, process):
        tasks = [answer["id"] for answer in run(port, TASKS, made, 1).answers]
        run(port, 8, asking(tasks), 100)
        began = cpu_seconds(process.pid)
        loads = [run(port, 8, asking(tasks), each) for _ in range(rounds)]
        spent = (cpu_seconds(process.pid) - began) * 1000 / sum(len(load.seconds) for load in loads)
        many = run(port, 64, asking(tasks), each // 5)
    extra = {"server_cpu_ms": round(spent, 3)}
    return [
        record("predict", "requests_per_second", [load.rate for load in loads], loads, **extra),
        record("predict", "p99_ms", [load.percentile(0.99) for load in loads], loads, **extra),
        record("predict", "errors", [float(len(many.errors))], [many], variant="64 clients"),
    ]


def tasks(home: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    each = 10 if options.quick else 625
    with server(home / "vectors", options.threads) as (port, process):
        load = run(port, 16, made, each)
        ids = [answer["id"] for answer in load.answers]
        chance = random.Random(0)
        chance.shuffle(ids)
        asked = run(port, 8, asking(ids), len(ids) // 8)
        listed = run(port, 1, listing(len(ids)), 20)
        memory = resident(process.pid) / 2**20
    variant = f"{len(ids):,} tasks"
    return [
        record("tasks", "errors", [float(len(load.errors + asked.errors + listed.errors))], [load, asked, listed],
               variant=variant, rss_mb=round(memory)),
        record("tasks", "p99_ms", [asked.percentile(0.99)], [asked], variant=f"{variant}, one question each"),
        record("tasks", "list_p95_ms", [listed.percentile(0.95)], [listed], variant=f"{variant}, pages and searches"),
    ]  # fmt: skip


def soak(home: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    minutes = 0.05 if options.quick else options.minutes
    with server(home / "vectors", options.threads, cache=CACHE) as (port, process):
        # All that is loaded late is loaded before memory is looked at.
        first = run(port, 8, made, 5)
        start, count = resident(process.pid), 40 if options.quick else 625
        adapted = run(port, 8, made, count)
        grown = (resident(process.pid) - start) / 2**20
        tasks = [answer["id"] for answer in first.answers]

        def mixed(client: int, until: float) -> Iterator[Request]:
            while time.monotonic() < until:
                yield from asking(tasks)(client, 20)
                yield from made(client, 1)

        run(port, 8, mixed, time.monotonic() + 12 * minutes)
        before = resident(process.pid)
        load = run(port, 8, mixed, time.monotonic() + 48 * minutes)
        growth = 100 * (resident(process.pid) / before - 1)
    variant = f"{minutes:g} minutes"
    return [
        record("soak", "rss_growth_percent", [growth], [load], variant=variant, rss_mb=round(before / 2**20)),
        record("soak", "errors", [float(len(load.errors))], [load], variant=variant),
        record("soak", "rss_growth_mb", [grown], [adapted], variant=f"{8 * count:,} adaptations"),
    ]


def kill(home: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    kept: dict[str, int] = {}
    back, loads, chance = [], [], random.Random(0)

    def heard(request: Request, answer: Any) -> None:
        kept[answer["id"]] = max(kept.get(answer["id"], 0), answer["examples"])

    for _ in range(2 if options.quick else 20):
        began = time.monotonic()
        with server(home / "vectors", options.threads, store="killed") as (port, process):
            back.append(time.monotonic() - began)

            async def under_load(port: int = port, process: subprocess.Popen[bytes] = process) -> Load:
                asyncio.get_running_loop().call_later(0.5 + chance.random(), process.send_signal, signal.SIGKILL)
                return await clients(port, 8, lambda i: teaching(i, kept), heard)

            loads.append(asyncio.run(under_load()))
    with server(home / "vectors", options.threads, store="killed") as (port, _):
        lost = sum(max(0, count - fetched(port, f"/v1/tasks/{task}")["examples"]) for task, count in kept.items())
    return [
        record("kill", "lost", [float(lost)], loads, acknowledged=sum(kept.values()), kills=len(loads)),
        record("kill", "seconds_to_answer", back[1:], loads, longest=round(max(back), 2)),
    ]


def made(client: int, count: int) -> Iterator[Request]:
    """Tasks of vectors."""
    for _ in range(count):
        examples = [{"x": vector(c), "y": f"class {c}"} for c in range(WAYS) for _ in range(SHOTS)]
        yield "POST", "/v1/tasks", {"name": f"of client {client}", "examples": examples}


def taught(client: int, count: int) -> Iterator[Request]:
    """Tasks of pictures."""
    del client
    for _ in range(count):
        examples = [{"x": picture(), "y": f"class {c}"} for c in range(WAYS) for _ in range(SHOTS)]
        yield "POST", "/v1/tasks", json.dumps({"examples": examples}).encode()


def asking(tasks: list[str]) -> Any:
    """Number of a client, how many -> questions about its task."""

    def ask(client: int, count: int) -> Iterator[Request]:
        body = json.dumps({"x": [vector(client % WAYS)]}).encode()
        for i in range(count):
            yield "POST", f"/v1/tasks/{tasks[(client + i) % len(tasks)]}/predict", body

    return ask


def listing(tasks: int) -> Any:
    """Pages of the list, and searches in it."""

    def ask(client: int, count: int) -> Iterator[Request]:
        for i in range(count):
            yield "GET", f"/v1/tasks?offset={i * tasks // count}&limit=50", None
            yield "GET", f"/v1/tasks?search=client%20{client + i}", None

    return ask


def teaching(client: int, kept: dict[str, int]) -> Iterator[Request]:
    """A task after another, with a few examples more each."""
    while True:
        yield from made(client, 1)
        for task in list(kept)[-8:]:
            yield "POST", f"/v1/tasks/{task}/examples", {"examples": [{"x": vector(client % WAYS), "y": "class 0"}]}


def vector(number: int) -> list[float]:
    return (3 * np.eye(WIDTH)[number] + NUMBERS.normal(size=WIDTH)).round(4).tolist()


def picture() -> dict[str, str]:
    file = io.BytesIO()
    Image.fromarray(NUMBERS.integers(0, 256, (28, 28), dtype=np.uint8)).save(file, "PNG")
    return {"image": base64.b64encode(file.getvalue()).decode()}


def run(port: int, count: int, requests: Any, much: float) -> Load:
    """Some clients, each with its requests; what they were answered stands in `answers`."""
    answers: list[Any] = []
    load = asyncio.run(clients(port, count, lambda i: requests(i, much), lambda _, answer: answers.append(answer)))
    load.answers = answers
    return load


def record(
    work: str, metric: str, values: list[float], loads: list[Load], *, learner: str = "prototypical", **more: Any
) -> dict[str, Any]:
    """A record: the mean over rounds, with what was asked and how busy the machine was besides."""
    value, half = mean_interval(values)
    return {
        "work": f"service/{work}",
        "learner": learner,
        "metric": metric,
        "value": round(value, 3),
        "ci95": round(half, 3) if len(values) > 1 else None,
        "interval": "95% t over rounds",
        "split": "none",
        "queries": sum(len(load.seconds) for load in loads),
        "seeds": 1,
        "budget": "full",
        "published": None,
        "load_average": round(os.getloadavg()[0], 1),
        **more,
        **_records.circumstances(),
    }


if __name__ == "__main__":
    main()
