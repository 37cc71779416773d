"""Questions: answered, explained, and how far the answers can be trusted."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from ...errors import NotEnoughExamples, QuickstudyError
from ..http.errors import RESPONSES, status_of, table
from ..service import Service
from ..teaching.explaining import explained
from ..teaching.quality import curve_of, leave_one_out, next_example
from .bodies import Id, ManyTasks, OneQuestion, Questions, Stateless
from .replies import AnswerList, Explanation, Quality, ResultList
from .serving import Direct, Serving, told

router = APIRouter(prefix="/v1", tags=["answers"], responses=RESPONSES)

often = APIRouter(prefix="/v1", tags=["answers"], responses=RESPONSES, route_class=Direct)


@often.post("/tasks/{task}/predict", response_model=AnswerList, response_model_exclude_none=True)
async def predict(serving: Serving, task: Id, body: Questions) -> Response:
    """Answers to questions about a task."""
    answers, learned = await serving.tasks.ask(task, body.x)
    return JSONResponse({"answers": told(answers, learned, body.unsure_below), "version": learned.version})


@router.post("/predict", response_model=AnswerList, response_model_exclude_none=True)
async def predict_from_examples(serving: Serving, body: Stateless) -> Response:
    """Answers from examples that are in the request; nothing is kept."""
    answers, learned = await serving.tasks.answer([(e.x, e.y) for e in body.examples], body.x)
    return JSONResponse({"answers": told(answers, learned, body.unsure_below)})


@router.post("/predict/batch", response_model=ResultList, response_model_exclude_none=True)
async def predict_many(serving: Serving, body: ManyTasks) -> Response:
    """Answers to questions about many tasks in one request; an error of one of them is its result."""

    async def one(task: str, x: list[Any], unsure_below: float | None) -> dict[str, Any]:
        try:
            answers, learned = await serving.tasks.ask(task, x)
            return {"answers": told(answers, learned, unsure_below)}
        except QuickstudyError as error:
            if status_of(error) == 500:
                raise
            return table(type(error).__name__, str(error))

    results: list[dict[str, Any]] = []
    for start in range(0, len(body.requests), serving.settings.limits.batch):
        some = body.requests[start : start + serving.settings.limits.batch]
        results += await asyncio.gather(*(one(r.task, r.x, r.unsure_below) for r in some))
    return JSONResponse({"results": results})


@router.post("/tasks/{task}/explain", response_model=Explanation, response_model_exclude_none=True)
async def explain(serving: Serving, task: Id, body: OneQuestion) -> Response:
    """What the answer to one question rests on."""
    support, ids = await _support(serving, task)
    (asked,) = await serving.tasks.read([body.x])
    x = await serving.worker.encode([asked])
    slow = serving.explainer
    found = await slow.call(lambda: explained(slow.bundle, support, ids, asked, x))
    return JSONResponse(found)


@router.get("/tasks/{task}/quality", response_model=Quality, response_model_exclude_none=True)
async def quality(serving: Serving, task: Id) -> Response:
    """How good a task is by leave-one-out on its own examples, and what one more would be worth."""
    support, _ = await _support(serving, task)
    found = await leave_one_out(serving.worker, support)
    known = await serving.tasks.aside(serving.store.find, task)
    counts = {name: known.counts.get(name, 0) for name in known.classes} or {"": found["examples"]}
    return JSONResponse(found | {"next_example": next_example(counts, curve_of(serving.bundle.result))})


async def _support(serving: Service, task: str) -> tuple[Any, list[str]]:
    """The examples of a task that can answer, and their ids."""
    found = await serving.tasks.current(task)
    if why := serving.tasks.labels.why_not(found):
        raise NotEnoughExamples(why)
    examples = await serving.tasks.aside(serving.store.examples, task)
    return serving.tasks.labels.support(examples), [example.id for example in examples]
