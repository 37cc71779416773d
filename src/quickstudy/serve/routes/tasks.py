"""Tasks: made, taught, corrected, renamed, deleted, exported."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator

from ..http.errors import RESPONSES
from ..inputs.pictures import is_picture, thumbnail
from ..inputs.pictures import shown as is_shown
from ..inputs.tables import examples_of
from ..problems import NoSuchTask, Unsupported
from ..service import Service
from ..store.kept import Example
from ..teaching import exporting
from .bodies import Changes, Id, Labelled, Limit, MoreExamples, NewTask, Offset, Search
from .replies import Task, TaskPage, WholeTask
from .serving import Serving, shown

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], responses=RESPONSES)
BYTES = "application/octet-stream"
LONGEST, NUMBERS = 400, 8  # characters of a text, and numbers, that an item shows
CSV = {"requestBody": {"content": {"text/csv": {"schema": {"type": "string"}}}}}

# What is no JSON comes as bytes, which no model reads.
JsonOrNone = Annotated[MoreExamples | None, BeforeValidator(lambda body: None if isinstance(body, bytes) else body)]


def _pairs(examples: list[Labelled]) -> list[tuple[Any, Any]]:
    return [(example.x, example.y) for example in examples]


@router.get("", response_model=TaskPage)
async def list_tasks(serving: Serving, search: Search = "", offset: Offset = 0, limit: Limit = 50) -> Response:
    """The tasks whose name holds `search`, the last changed first."""
    tasks, total = await serving.tasks.aside(serving.store.page, search, offset, limit)
    return JSONResponse({"tasks": [shown(task, serving.tasks) for task in tasks], "total": total})


@router.post("", response_model=Task, status_code=201)
async def make_task(serving: Serving, body: NewTask) -> Response:
    """A new task; with examples it is learned at once."""
    task = await serving.tasks.create(body.name, body.classes, _pairs(body.examples))
    return JSONResponse(shown(task, serving.tasks), 201)


@router.get("/{task}", response_model=WholeTask)
async def show_task(serving: Serving, task: Id) -> Response:
    """A task with its examples and its history."""
    found = await serving.tasks.aside(serving.store.find, task)
    examples = await serving.tasks.aside(serving.store.examples, task)
    history = await serving.tasks.aside(serving.store.history, task)
    items = [_item(serving, example) for example in examples]
    events = [{"at": at, "what": what} for at, what in history]
    return JSONResponse(shown(found, serving.tasks) | {"items": items, "history": events})


def _item(serving: Service, example: Example) -> dict[str, Any]:
    y = example.label if serving.bundle.kind == "classification" else json.loads(example.label)
    item = {"id": example.id, "y": y[0] if isinstance(y, list) and len(y) == 1 else y, "added": example.added}
    picture = is_picture(example.given) or _is_drawn(serving)
    return item | {"has_picture": picture} | ({} if picture else {"text": _text(example.given)})


def _text(given: bytes) -> str:
    """An input that is no picture, in short."""
    x = json.loads(given)
    if isinstance(x, str):
        return x[:LONGEST]
    if isinstance(x, dict):
        return ", ".join(f"{name}: {value}" for name, value in x.items())[:LONGEST]
    numbers = np.asarray(x, dtype=np.float64)
    text = ", ".join(f"{value:.4g}" for value in numbers.flat[:NUMBERS])
    return text if numbers.size <= NUMBERS else f"{text}, … ({' × '.join(map(str, numbers.shape))} numbers)"


def _is_drawn(serving: Service) -> bool:
    """Whether the numbers of an example are a picture."""
    return serving.bundle.modality in (None, "image") and is_shown(serving.bundle.feature)


@router.patch("/{task}", response_model=Task)
async def change_task(serving: Serving, task: Id, body: Changes) -> Response:
    """Another name for a task, or for classes of it; other classes."""
    made = await serving.tasks.edit(task, body.name, rename=body.rename, add=body.add, drop=body.drop)
    return JSONResponse(shown(made, serving.tasks))


@router.delete("/{task}", status_code=204)
async def delete_task(serving: Serving, task: Id) -> Response:
    """A task is gone, until it is restored."""
    await serving.tasks.aside(serving.store.delete, task)
    return Response(status_code=204)


@router.post("/{task}/restore", response_model=Task)
async def restore_task(serving: Serving, task: Id) -> Response:
    """A task that was deleted is there again."""
    await serving.tasks.aside(lambda: serving.store.delete(task, undo=True))
    return JSONResponse(shown(await serving.tasks.aside(serving.store.find, task), serving.tasks))


@router.post("/{task}/examples", response_model=Task, openapi_extra=CSV)
async def add_examples(serving: Serving, request: Request, task: Id, body: JsonOrNone = None) -> Response:
    """Examples, as JSON or as a CSV with a head: the task is learned again with them, and both are kept together."""
    if body is not None:
        pairs = _pairs(body.examples)
    elif request.headers.get("content-type", "").startswith("text/csv"):
        data = await request.body()
        pairs = await serving.tasks.aside(examples_of, serving.bundle, data, serving.settings.limits.rows)
    else:
        raise Unsupported("Send examples as application/json, or as text/csv.")
    return JSONResponse(shown(await serving.tasks.add(task, pairs), serving.tasks))


@router.delete("/{task}/examples/{example}", response_model=Task)
async def remove_example(serving: Serving, task: Id, example: Id) -> Response:
    """A task without one of its examples."""
    return JSONResponse(shown(await serving.tasks.remove(task, example), serving.tasks))


@router.get("/{task}/examples/{example}/picture", response_class=Response)
async def show_picture(serving: Serving, task: Id, example: Id) -> Response:
    """A small picture of an example."""
    await serving.tasks.aside(serving.store.find, task)
    found = next((e for e in await serving.tasks.aside(serving.store.examples, task) if e.id == example), None)
    if found is None or not (is_picture(found.given) or _is_drawn(serving)):
        raise NoSuchTask(f"Task '{task}' has no picture of an example '{example}'.")
    encoded = np.frombuffer(found.encoded, dtype=np.float32)
    encoded = encoded.reshape(serving.bundle.feature) if _is_drawn(serving) else encoded
    made = await serving.tasks.aside(thumbnail, found.given, encoded)
    return Response(made, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/{task}/export", response_class=Response)
async def export_task(serving: Serving, task: Id, format: Literal["state", "json", "onnx"] = "json") -> Response:
    """The state as a file, the task as JSON that POST /v1/tasks takes, or the learner as ONNX."""
    found = await serving.tasks.aside(serving.store.find, task)
    if format == "onnx":
        body = await serving.onnx.content()
    else:
        work = exporting.as_state if format == "state" else exporting.as_json
        body = await serving.tasks.aside(work, serving.bundle, serving.store, found)
    headers = {"Content-Disposition": f'attachment; filename="task-{found.id}.{format}"'}
    return Response(body, media_type="application/json" if format == "json" else BYTES, headers=headers)
