"""Tasks that are taught: each change adapts again to all examples, and is kept together with what was learned."""

from __future__ import annotations

import asyncio
import dataclasses
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ...bundle import Answers, Bundle
from ...errors import NotEnoughExamples, UserError
from ..inputs import reading
from ..inputs.reading import Input
from ..model.batched import Question, Support
from ..model.packing import Learned, packed
from ..model.worker import Worker
from ..problems import Conflict, NoSuchTask, Relearn, Stale, TooMuch
from ..settings import Limits
from ..store.kept import Example, Task, new_id, now
from ..store.tasks import TaskStore
from .labels import Labelling

T = TypeVar("T")
ATTEMPTS = 6  # times that a change is tried while others change the same task
THREADS = 4  # that wait for the store, and unpack pictures

Edit = Callable[[Task, list[Example]], tuple[Task, list[Example]]]


class Tasks:
    """All that can be done with tasks.

    A change is: read the task, adapt to its examples as they are to be, write both in one transaction. When somebody
    else, in this process or another, changed the task in between, it is done again.

    Args:
        bundle: whose learner it is.
        store: where tasks are kept.
        worker: that adapts and answers.
        limits: of a task and a request.
    """

    def __init__(self, bundle: Bundle, store: TaskStore, worker: Worker, limits: Limits):
        self.bundle, self.store, self.worker, self.limits = bundle, store, worker, limits
        self.labels = Labelling(bundle)
        self._threads = ThreadPoolExecutor(THREADS, "store")
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def close(self) -> None:
        """Finish what is being written."""
        self._threads.shutdown()

    async def aside(self, work: Callable[..., T], *values: Any) -> T:
        """The result of something that waits for the store or takes long, on another thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *values)

    async def create(self, name: str, classes: Sequence[str], given: Sequence[tuple[Any, Any]]) -> Task:
        """A new task, with what is known of it so far."""
        examples = await self._examples(given)
        named = [self.labels.kept(name) for name in classes] if self.bundle.kind == "classification" else []
        known = self.labels.fixed or tuple(dict.fromkeys([*named, *self.labels.named(examples)]))
        task = Task(new_id(), name, self.bundle.kind, self.bundle.identity, known, 0, "", "")
        count = f" with {len(examples)} examples" if examples else ""
        return await self._put(None, task, [], examples, f"made{count}")

    async def add(self, task: str, given: Sequence[tuple[Any, Any]]) -> Task:
        """The task with more examples."""
        examples = await self._examples(given)

        def edit(task: Task, there: list[Example]) -> tuple[Task, list[Example]]:
            classes = tuple(dict.fromkeys([*task.classes, *self.labels.named(examples)]))
            return dataclasses.replace(task, classes=classes), [*there, *examples]

        labels = list(dict.fromkeys(e.label for e in examples))
        shown = f" of '{labels[0]}'" if self.bundle.kind == "classification" and len(labels) == 1 else ""
        many = "an example" if len(examples) == 1 else f"{len(examples)} examples"
        return await self._change(task, edit, f"given {many}{shown}")

    async def remove(self, task: str, example: str) -> Task:
        """The task without one of its examples."""

        def edit(task: Task, there: list[Example]) -> tuple[Task, list[Example]]:
            left = [e for e in there if e.id != example]
            if len(left) == len(there):
                raise NoSuchTask(f"Task '{task.id}' has no example '{example}'.")
            return task, left

        return await self._change(task, edit, "an example taken away")

    async def edit(
        self,
        task: str,
        name: str | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        add: Sequence[str] = (),
        drop: Sequence[str] = (),
    ) -> Task:
        """The task, or its classes, under other names; with more classes, or without some and their examples."""
        rename = rename or {}

        def edit(task: Task, there: list[Example]) -> tuple[Task, list[Example]]:
            lacking = [old for old in (*rename, *drop) if old not in task.classes]
            if lacking:
                raise NoSuchTask(f"The task has no class '{lacking[0]}'.")
            if (rename or add or drop) and (self.labels.fixed or self.bundle.kind != "classification"):
                raise Conflict("The classes of this learner are fixed; a task cannot have others.")
            classes = (*(rename.get(c, c) for c in task.classes if c not in drop), *add)
            if len(set(classes)) < len(classes):
                raise Conflict("Two classes would have one name; give one of them another.")
            changed = dataclasses.replace(task, name=name or task.name, classes=classes)
            if not rename and not drop:
                return changed, there
            left = [e for e in there if e.label not in drop]
            return changed, [dataclasses.replace(e, label=rename.get(e.label, e.label)) for e in left]

        words = [f"called '{name}'"] if name else []
        words += [f"'{old}' called '{new}'" for old, new in rename.items()]
        words += [f"given the class '{one}'" for one in add] + [f"'{one}' taken away" for one in drop]
        return await self._change(task, edit, "; ".join(words) or "left as it was")

    async def current(self, task: str) -> Task:
        """A task whose examples are numbers of this learner, learned again where they were another's."""
        found = await self.aside(self.store.find, task)
        if found.learner == self.bundle.identity:
            return found
        return await self._change(task, lambda task, there: (task, there), "learned again")

    async def ask(self, task: str, x: Sequence[Any]) -> tuple[Answers, Learned]:
        """Answers to questions, and what gave them.

        Raises:
            NoSuchTask: there is none.
            NotEnoughExamples: it has learned too little to answer.
        """
        asked = await self.read(x)
        for _ in range(2):
            try:
                return await self.worker.ask(task, asked)
            except Relearn:
                found = await self.aside(self.store.find, task)
                if why := self.labels.why_not(found):
                    raise NotEnoughExamples(why) from None
                await self._change(task, lambda task, there: (task, there), "learned again")
        raise Conflict("The task is being changed; try again.")

    async def answer(self, given: Sequence[tuple[Any, Any]], x: Sequence[Any]) -> tuple[Answers, Learned]:
        """Answers from examples that are not kept, and what gave them."""
        read, asked = await self.read([one for one, _ in given]), await self.read(x)
        labels = [self.labels.kept(y) for _, y in given]
        if why := self.labels.lacking(labels):
            raise NotEnoughExamples(why)
        support = Support(await self.worker.encode(read), self.labels.read(labels))
        learned = await self.worker.adapt(support)
        return await self.worker.predict(Question(learned, await self.worker.encode(asked))), learned

    async def read(self, x: Sequence[Any]) -> list[Input]:
        """Inputs of a request, on another thread where that takes long."""
        if len(x) > self.limits.rows:
            raise TooMuch(f"{len(x):,} inputs are too many; send at most {self.limits.rows:,} at a time.")
        if reading.takes(self.bundle) == "numbers" and len(x) <= 8:
            return reading.read(self.bundle, x, self.limits)
        return await self.aside(reading.read, self.bundle, x, self.limits)

    async def _examples(self, given: Sequence[tuple[Any, Any]]) -> list[Example]:
        if not given:
            return []
        labels, at = [self.labels.kept(y) for _, y in given], now()
        read = await self.read([x for x, _ in given])
        encoded = (await self.worker.encode(read)).numpy().astype(np.float32)
        return [
            Example(new_id(), label, one.given, row.tobytes(), at)
            for label, one, row in zip(labels, read, encoded, strict=True)
        ]

    async def _change(self, task: str, edit: Edit, what: str) -> Task:
        async with self._turns.setdefault(task, asyncio.Lock()):
            for _ in range(ATTEMPTS):
                before = await self.aside(self.store.find, task)
                old = await self.aside(self.store.examples, task)
                after, new = edit(*await self._ours(before, old))
                try:
                    return await self._put(before, after, old, new, what)
                except Stale:
                    continue
        raise Conflict("The task is being changed by others; try again.")

    async def _ours(self, task: Task, examples: list[Example]) -> tuple[Task, list[Example]]:
        """The task as this learner sees it, where another one was taught: inputs are kept as they were given."""
        if task.learner == self.bundle.identity:
            return task, examples
        if task.kind != self.bundle.kind:
            raise Conflict(f"This task is a {task.kind}, but the learner that is served now does a {self.bundle.kind}.")
        try:
            read = await self.aside(lambda: [reading.again(self.bundle, e.given) for e in examples])
            x = (await self.worker.encode(read)).numpy().astype(np.float32)
        except UserError as error:
            raise Conflict(f"This task was taught to another learner, and this one cannot read it: {error}") from error
        return dataclasses.replace(task, learner=self.bundle.identity), [
            dataclasses.replace(e, encoded=row.tobytes()) for e, row in zip(examples, x, strict=True)
        ]

    async def _put(self, before: Task | None, after: Task, old: list[Example], new: list[Example], what: str) -> Task:
        """Adapt, then keep all of it or nothing."""
        counts = Counter(e.label for e in new)
        if len(new) > self.limits.examples or len(after.classes) > self.limits.classes:
            most = f"{self.limits.examples:,} examples of {self.limits.classes:,} classes"
            raise TooMuch(f"A task has at most {most}; leave some out.")
        ready = self.labels.lacking(list(counts)) is None
        learned = await self.worker.adapt(self.labels.support(new)) if ready else None

        def keep() -> Task:
            return self.store.put(before, after, old, new, None if learned is None else packed(learned), what)

        made = await self.aside(keep)
        if learned is not None:
            self.worker.cache.put(made.id, dataclasses.replace(learned, version=made.version))
        return dataclasses.replace(made, counts=dict(counts))
