"""Many at once are answered as one after another; no answer of one task shows in another."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from quickstudy.bundle import load_bundle
from quickstudy.errors import BadExamples
from quickstudy.serve.model.batched import Batched, Question, Support
from quickstudy.serve.model.packing import Learned
from quickstudy.serve.settings import Limits

from .conftest import WIDTH, examples, vector
from .test_tasks import answers, error, made


def supports(count: int) -> list[Support]:
    """Tasks of several shapes, each with its own classes."""
    found = []
    for i in range(count):
        given = examples(2 + i % 3, 1 + i % 2, seed=i)
        found.append(Support(torch.tensor([e["x"] for e in given]), tuple(f"{i} {e['y']}" for e in given)))
    return found


@pytest.mark.parametrize(("name", "exact"), [("vectors", 1e-6), ("steps", 1e-4), ("glyphs", 1e-6)])
def test_what_is_batched_is_what_the_bundle_says(name: str, exact: float, bundles: Path) -> None:
    bundle = load_bundle(bundles / name)
    batched, tasks = Batched(bundle), supports(14)
    x = torch.stack([torch.tensor(vector(0, 90 + i)) for i in range(14)])
    if name == "glyphs":
        pictures = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(0))
        tasks = [Support(t.x.view(-1, WIDTH, 1, 1).mean(1, keepdim=True) * pictures, t.labels) for t in tasks]
        x = x.view(14, WIDTH, 1, 1).mean(1, keepdim=True) * pictures
    learned = batched.adapt(tasks)
    assert all(isinstance(one, Learned) for one in learned)
    answered = batched.predict([Question(one, x[i : i + 1]) for i, one in enumerate(learned)])  # type: ignore[arg-type]
    for i, (task, answer) in enumerate(zip(tasks, answered, strict=True)):
        state, envelope = bundle.adapt(task.x, task.labels)
        right = bundle.predict(state, envelope, x[i : i + 1])
        assert not isinstance(answer, Exception) and answer.names == right.names
        assert answer.probabilities is not None and right.probabilities is not None
        assert torch.allclose(answer.probabilities, right.probabilities, rtol=0, atol=exact)


def test_one_that_is_wrong_does_not_spoil_the_others(bundles: Path) -> None:
    batched = Batched(load_bundle(bundles / "vectors"))
    good = supports(6)[0::3]
    bad = Support(torch.full_like(good[0].x, torch.nan), good[0].labels)
    first, wrong, last = batched.adapt([good[0], bad, good[1]])
    assert isinstance(first, Learned) and isinstance(last, Learned) and isinstance(wrong, BadExamples)


def test_200_adaptations_by_32_clients(started: Callable[..., Any]) -> None:
    client = started()
    sizes = [(2 + i % 4, 1 + i % 3, i) for i in range(200)]

    def taught(i: int) -> tuple[str, dict[str, Any]]:
        given = [{"x": e["x"], "y": f"{i} {e['y']}"} for e in examples(*sizes[i])]
        task = made(client, name=f"task {i}", examples=given)["id"]
        return task, answers(client, task, vector(i % 2, 1_000 + i))[0]

    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(taught, range(200)))
    for i, (task, answer) in enumerate(together):
        assert set(answer["probabilities"]) == {f"{i} class {c}" for c in range(sizes[i][0])}
        (alone,) = answers(client, task, vector(i % 2, 1_000 + i))
        assert alone["answer"] == answer["answer"]
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-6)


def test_many_teach_one_task(client: Any) -> None:
    task = made(client, examples=examples(2, 1))["id"]

    def teach(i: int) -> int:
        body = {"examples": examples(2, 1, seed=i + 1)}
        return int(client.post(f"/v1/tasks/{task}/examples", json=body).status_code)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(teach, range(30))) == [200] * 30
    found = client.get(f"/v1/tasks/{task}").json()
    assert found["examples"] == 62 and found["version"] == 31 and len(found["history"]) == 31
    given = [e for i in range(31) for e in examples(2, 1, seed=i)]
    alone = made(client, examples=given)["id"]
    (one,), (other,) = (answers(client, t, vector(0, 77)) for t in (task, alone))
    assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_services_share_a_store(kind: str, started: Callable[..., Any], request: pytest.FixtureRequest) -> None:
    store = request.getfixturevalue("postgres") if kind == "postgresql" else None
    one, other = started(store=store), started(store=store)
    task = made(one, examples=examples(2, 1))["id"]
    assert answers(one, task, vector(1, 3)) == answers(other, task, vector(1, 3))
    other.patch(f"/v1/tasks/{task}", json={"rename": {"class 1": "renamed"}})
    assert answers(one, task, vector(1, 3))[0]["answer"] == "renamed"  # not what it has in memory
    other.delete(f"/v1/tasks/{task}")
    assert one.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)]}).status_code == 404


def test_memory_has_a_ceiling(started: Callable[..., Any]) -> None:
    client = started(limits=dataclasses.replace(Limits(), cache=20_000))
    tasks = [made(client, examples=examples(2, 1, seed=i))["id"] for i in range(20)]
    cache = client.app.state.service.worker.cache
    assert 0 < cache.bytes <= 20_000 and len(cache) < 10
    assert all(answers(client, t, vector(i % 2, i))[0]["confidence"] > 0.4 for i, t in enumerate(tasks))
    assert cache.bytes <= 20_000


class Held:
    """The learner's thread, kept busy until it is let go."""

    def __init__(self, client: Any) -> None:
        self.worker, self.go, began = client.app.state.service.worker, threading.Event(), threading.Event()

        def hold() -> None:
            began.set()
            self.go.wait(20)

        self.held = client.portal.start_task_soon(self.worker.call, hold)
        assert began.wait(10)


def test_a_full_queue_is_said_at_once(started: Callable[..., Any]) -> None:
    client = started(limits=dataclasses.replace(Limits(), queue=4))
    task = made(client, examples=examples(2, 1))["id"]
    held = Held(client)
    with ThreadPoolExecutor(9) as pool:
        asked = [pool.submit(client.post, f"/v1/tasks/{task}/predict", json={"x": [vector(0)]}) for _ in range(9)]
        deadline = time.monotonic() + 10
        while sum(f.done() for f in asked) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        early = [f.result() for f in asked if f.done()]
        held.go.set()
        statuses = sorted(f.result().status_code for f in asked)
    assert len(early) == 5 and all(error(a)[:2] == (503, "Busy") and a.headers["retry-after"] for a in early)
    assert statuses == [200] * 4 + [503] * 5


def test_who_waits_too_long_is_told(started: Callable[..., Any]) -> None:
    task = made(started(), examples=examples(2, 1))["id"]
    client = started(limits=dataclasses.replace(Limits(), deadline=0.3))
    held = Held(client)
    late = client.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)]})
    assert error(late)[:2] == (504, "TooLate")
    held.go.set()
    found = [client.post(f"/v1/tasks/{task}/predict", json={"x": [vector(0)]}).status_code for _ in range(9)]
    assert 200 in found  # the thread is free again


def test_what_was_accepted_is_finished(bundles: Path, tmp_path: Path) -> None:
    from quickstudy.serve.metrics import Metrics
    from quickstudy.serve.service import Service
    from quickstudy.serve.settings import Settings

    async def work() -> list[Any]:
        service = Service.started(Settings(bundles / "vectors", f"sqlite:///{tmp_path}/tasks.db"), Metrics())
        given = [(e["x"], e["y"]) for e in examples(3, 2)]
        waiting = [asyncio.ensure_future(service.worker.adapt(supports(1)[0])) for _ in range(20)]
        made = asyncio.ensure_future(service.tasks.create("t", [], given))
        await asyncio.sleep(0)
        task = await made
        await asyncio.to_thread(service.stop)
        return [task, *await asyncio.gather(*waiting)]

    found = asyncio.run(work())
    assert len(found) == 21 and all(isinstance(one, Learned) for one in found[1:])


def test_metrics_count(client: Any) -> None:
    task = made(client, examples=examples(2, 1))["id"]
    answers(client, task, vector(0))
    client.get("/v1/tasks/none")
    text = client.get("/metrics").text
    assert 'quickstudy_requests_total{method="POST",path="/v1/tasks/{task}/predict",status="200"' in text
    assert task not in text and "quickstudy_resident_bytes" in text and "quickstudy_cached_bytes" in text
