"""The one thread that owns the learner: it takes what waits, answers it together, and hands the answers back."""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...bundle import Answers, Bundle
from ...errors import BadFile, UserError
from ..inputs.reading import Input, gathered
from ..problems import Busy, NoSuchTask, Relearn
from ..settings import Limits
from ..store.tasks import TaskStore
from .batched import Batched, Question, Support
from .cache import Cache
from .packing import Learned, unpacked

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Ask:
    """Questions about a task that is kept."""

    task: str
    inputs: tuple[Input, ...]


@dataclasses.dataclass(frozen=True)
class Job:
    """Something to do, and where its result is awaited."""

    what: Any
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class Worker:
    """Encodes, adapts and answers on a thread of its own, everything that waits in one go.

    Args:
        bundle: whose learner it is.
        store: of the states.
        limits: of the queue, of what is answered together, and of the cache.
        threads: of torch; None leaves them as they are.
        observe: told how many requests were answered together, each time.
    """

    def __init__(
        self,
        bundle: Bundle,
        store: TaskStore,
        limits: Limits,
        *,
        threads: int | None = None,
        observe: Callable[[int], None] = lambda size: None,
    ):
        self.bundle, self.store, self.limits, self.threads, self.observe = bundle, store, limits, threads, observe
        self.batched, self.cache = Batched(bundle), Cache(limits.cache)
        self._waiting: queue.Queue[Job | None] = queue.Queue(limits.queue)
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
        self._handlers: dict[type, Callable[[Sequence[Any]], Sequence[Any]]] = {
            Ask: self._ask, Support: self.batched.adapt, Question: self.batched.predict, tuple: self._encode,
        }  # fmt: skip

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish all that waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._waiting.qsize()

    async def encode(self, inputs: Sequence[Input]) -> Tensor:
        """(n, *feature) numbers."""
        return await self._submit(tuple(inputs))

    async def adapt(self, support: Support) -> Learned:
        """What is learned from examples."""
        return await self._submit(support)

    async def predict(self, question: Question) -> Answers:
        """Answers from something learned."""
        return await self._submit(question)

    async def ask(self, task: str, inputs: Sequence[Input]) -> tuple[Answers, Learned]:
        """Answers of a task that is kept, and what gave them.

        Raises:
            NoSuchTask: it does not exist.
            Relearn: it has no state that fits.
        """
        return await self._submit(Ask(task, tuple(inputs)))

    async def call(self, work: Callable[[], T]) -> T:
        """The result of something else that needs the learner."""
        result: T = await self._submit(work)
        return result

    async def _submit(self, what: Any) -> Any:
        loop = asyncio.get_running_loop()
        job = Job(what, loop, loop.create_future())
        try:
            self._waiting.put_nowait(job)
        except queue.Full as error:
            raise Busy(f"{self.limits.queue} requests wait already; try again in a second.") from error
        return await job.done

    def _run(self) -> None:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        last = False
        while not last:
            first = self._waiting.get()
            jobs = [] if first is None else [first]
            last = first is None
            while not last and len(jobs) < self.limits.batch and not self._waiting.empty():
                job = self._waiting.get()
                last = job is None
                jobs += [] if job is None else [job]
            self._work([job for job in jobs if not job.done.cancelled()])  # whoever waited too long is gone

    def _work(self, jobs: Sequence[Job]) -> None:
        by_kind: dict[type, list[Job]] = {}
        for job in jobs:
            by_kind.setdefault(type(job.what) if type(job.what) in self._handlers else object, []).append(job)
        for kind, some in by_kind.items():
            self.observe(len(some))
            try:
                results = self._handlers.get(kind, _called)([job.what for job in some])
            except Exception as error:  # a request that fails must not end the thread that all others wait for
                results = [error] * len(some)
            for loop in {job.loop for job in some}:
                mine = [(job.done, r) for job, r in zip(some, results, strict=True) if job.loop is loop]
                loop.call_soon_threadsafe(_deliver, mine)

    def _encode(self, requests: Sequence[Sequence[Input]]) -> list[Tensor | UserError]:
        """All inputs in one call of the encoder; each request in one of its own where that finds something wrong."""
        try:
            together = self.bundle.encode(gathered(self.bundle, [one for request in requests for one in request]))
            return list(together.split([len(request) for request in requests]))
        except UserError as error:
            return [error] if len(requests) == 1 else [self._encode([request])[0] for request in requests]

    def _ask(self, asks: Sequence[Ask]) -> list[tuple[Answers, Learned] | Exception]:
        found = self._learned(list({ask.task for ask in asks}))
        encoded = self._encode([ask.inputs for ask in asks])
        results: list[Any] = [found[ask.task] for ask in asks]
        results = [x if isinstance(x, Exception) and isinstance(r, Learned) else r
                   for r, x in zip(results, encoded, strict=True)]  # fmt: skip
        good = [i for i, result in enumerate(results) if isinstance(result, Learned)]
        answers = self.batched.predict([Question(results[i], encoded[i]) for i in good])  # type: ignore[arg-type]
        for i, answer in zip(good, answers, strict=True):
            results[i] = answer if isinstance(answer, Exception) else (answer, results[i])
        return results

    def _learned(self, tasks: list[str]) -> dict[str, Learned | Exception]:
        """The state of each task: from memory where it is of the task's version, else from the store."""
        versions = self.store.versions(tasks)
        found: dict[str, Learned | Exception] = {}
        for task in tasks:
            if task not in versions:
                found[task] = NoSuchTask(f"There is no task '{task}'; it may have been deleted.")
            elif (here := self.cache.get(task, versions[task][0])) is not None:
                found[task] = here
        missing = [task for task in tasks if task not in found]
        for task, (version, kept) in self.store.states(missing).items() if missing else ():
            try:
                learned = unpacked(kept, self.bundle.learner.State, version)
                self.bundle.check(learned.envelope)
                self.cache.put(task, learned)
                found[task] = learned
            except BadFile:
                found[task] = Relearn(task)
        return {task: found.get(task, Relearn(task)) for task in tasks}


def _called(works: Sequence[Callable[[], Any]]) -> list[Any]:
    results = []
    for work in works:
        try:
            results.append(work())
        except Exception as error:  # it is raised where the result is awaited
            results.append(error)
    return results


def _deliver(results: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for done, result in results:
        if done.cancelled():
            continue
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)
