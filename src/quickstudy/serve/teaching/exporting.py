"""A task as a file, to be used without the service."""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ...bundle import Bundle, load_bundle
from ...errors import NotEnoughExamples
from ..inputs.pictures import is_picture
from ..store.kept import Task
from ..store.tasks import TaskStore


def as_state(bundle: Bundle, store: TaskStore, task: Task) -> bytes:
    """The state file that `quickstudy predict` reads.

    Raises:
        NotEnoughExamples: nothing has been learned yet.
    """
    found = store.states([task.id]).get(task.id)
    if found is None or task.learner != bundle.identity:
        raise NotEnoughExamples("This task has learned nothing yet; give it examples, and ask it once.")
    return found[1].body


def as_json(bundle: Bundle, store: TaskStore, task: Task) -> bytes:
    """What POST /v1/tasks takes to make the task again: inputs as they were given."""
    examples = [{"x": _input(e.given), "y": _label(bundle, e.label)} for e in store.examples(task.id)]
    classes = list(task.classes) if task.kind == "classification" else []
    made = {"name": task.name, "classes": classes, "examples": examples}
    return json.dumps(made, ensure_ascii=False, indent=1).encode()


class Onnx:
    """The learner, adapting included, for onnxruntime; made once, when it is first asked for.

    Args:
        folder: of the bundle.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._making: asyncio.Task[bytes] | None = None

    async def content(self) -> bytes:
        """The file. Whoever stops waiting does not stop the others.

        Raises:
            UserError: what makes it is not installed, or the learner cannot be exported.
        """
        if self._making is None or (self._making.done() and self._making.exception() is not None):
            self._making = asyncio.create_task(asyncio.to_thread(_apart, self.folder))
        return await asyncio.shield(self._making)


def _apart(folder: Path) -> bytes:
    """Made in a process of its own: what traces a learner must not meet it at work, and its memory is given back."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(onnx_of, folder).result()


def onnx_of(folder: Path) -> bytes:
    """The ONNX file of a bundle."""
    from ...export import export_bundle

    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "learner.onnx"
        export_bundle(load_bundle(folder), path)
        return path.read_bytes()


def _input(given: bytes) -> Any:
    return {"image": base64.b64encode(given).decode()} if is_picture(given) else json.loads(given)


def _label(bundle: Bundle, label: str) -> Any:
    return label if bundle.kind == "classification" else json.loads(label)
