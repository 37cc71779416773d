"""Bodies of answers; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, StrictBool

from ..http.errors import Refused


class ClassCount(BaseModel):
    """A class and how many examples of it there are."""

    name: str
    examples: int


class Task(BaseModel):
    """A task: what it is called and what it has learned from."""

    id: str
    name: str
    kind: str
    classes: list[ClassCount]
    examples: int
    ready: StrictBool
    why_not: str | None
    version: int
    created: str
    updated: str


class Item(BaseModel):
    """An example of a task, without its input."""

    id: str
    y: Any
    added: str
    has_picture: bool
    text: str | None = None


class Event(BaseModel):
    """Something that happened to a task."""

    at: str
    what: str


class WholeTask(Task):
    """A task with its examples and its history."""

    items: list[Item]
    history: list[Event]


class TaskPage(BaseModel):
    """Some of the tasks, the last changed first, and how many there are."""

    tasks: list[Task]
    total: int


class Answer(BaseModel):
    """A class with its confidence, or the value of a regression."""

    answer: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    unsure: bool | None = None
    value: Any = None
    deviation: Any = None


class AnswerList(BaseModel):
    """Answers in the order of the questions, and the version of the task that gave them."""

    answers: list[Answer]
    version: int | None = None


class AnswersOrError(BaseModel):
    """The answers about one task, or why there are none."""

    answers: list[Answer] | None = None
    error: Refused | None = None


class ResultList(BaseModel):
    """One result a request, in their order."""

    results: list[AnswersOrError]


class NextExample(BaseModel):
    """What one more example is likely to be worth, in points of accuracy, and that in words."""

    sentence: str
    worth: float | None


class Quality(BaseModel):
    """How good a task is by its own examples."""

    accuracy: float | None = None
    mse: float | None = None
    low: float | None
    high: float | None
    examples: int
    method: str
    next_example: NextExample


class Explanation(BaseModel):
    """What an answer rests on."""

    nearest: list[dict[str, Any]]
    influence: list[dict[str, Any]]
    occlusion: list[list[float]] | None = None
    words: list[tuple[str, float]] | None = None
    columns: list[tuple[str, float]] | None = None
