"""How a route reaches the service, and shows what it finds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, get_type_hints

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from ...bundle import Answers
from ..model.packing import Learned
from ..problems import Busy
from ..service import Service
from ..store.kept import Task
from ..teaching.tasks import Tasks


async def _service(request: Request) -> Service:
    found: Service | None = getattr(request.app.state, "service", None)
    if found is None:
        raise Busy("The service is starting or stopping; try again in a second.")
    return found


Serving = Annotated[Service, Depends(_service)]


class Direct(APIRoute):
    """A route with a service, a task and a body, and nothing else: handled in half of the time that FastAPI takes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        model: type[BaseModel] = get_type_hints(self.endpoint)["body"]

        async def handle(request: Request) -> Response:
            try:
                body = model.model_validate_json(await request.body())
            except ValidationError as error:
                raise RequestValidationError(error.errors()) from error
            answered: Response = await self.endpoint(await _service(request), request.path_params["task"], body)
            return answered

        return handle


def shown(task: Task, tasks: Tasks) -> dict[str, Any]:
    """A task as JSON."""
    why = tasks.labels.why_not(task)
    names = task.classes if task.kind == "classification" else ()
    return {
        "id": task.id,
        "name": task.name,
        "kind": task.kind,
        "classes": [{"name": name, "examples": task.counts.get(name, 0)} for name in names],
        "examples": sum(task.counts.values()),
        "ready": why is None,
        "why_not": why,
        "version": task.version,
        "created": task.created,
        "updated": task.updated,
    }


def told(answers: Answers, learned: Learned, unsure_below: float | None) -> list[dict[str, Any]]:
    """Answers as JSON; without `unsure_below` one is unsure below half way from chance to certain."""
    if answers.values is not None:
        rows: list[dict[str, Any]] = [{"value": _flat(value)} for value in answers.values.tolist()]
        if answers.deviations is not None:
            rows = [row | {"deviation": _flat(d)} for row, d in zip(rows, answers.deviations.tolist(), strict=True)]
        return rows
    assert answers.probabilities is not None
    classes = learned.envelope.classes
    least = (1 + 1 / len(classes)) / 2 if unsure_below is None else unsure_below
    return [
        {
            "answer": name,
            "confidence": max(row),
            "probabilities": dict(zip(classes, row, strict=True)),
            "unsure": max(row) < least,
        }
        for name, row in zip(answers.names, answers.probabilities.tolist(), strict=True)
    ]


def _flat(numbers: list[float]) -> Any:
    return numbers[0] if len(numbers) == 1 else numbers
