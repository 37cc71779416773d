"""Bodies of requests; the OpenAPI document is made from them."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr


def _clean(text: str) -> str:
    """A name in its usual form, without what cannot be seen or kept."""
    made = unicodedata.normalize("NFC", text).strip()
    if not made or any(unicodedata.category(c) in ("Cc", "Cs") for c in made):
        raise ValueError("a name has visible characters, and no control characters")
    return made


Text = Annotated[StrictStr, Field(min_length=1, max_length=200), AfterValidator(_clean)]
Label = Text | StrictInt | StrictFloat | Annotated[list[StrictInt | StrictFloat], Field(min_length=1, max_length=1_000)]
Input = Annotated[
    Any,
    Field(description='Nested numbers, a text, {"image": "a file in base64"} or a row {"column": value, ...}'),
]
Id = Annotated[str, Path(description="16 hexadecimal digits", max_length=200)]


class Body(BaseModel):
    """A body without other keys than these: a misspelt one is an error."""

    model_config = ConfigDict(extra="forbid")


class Labelled(Body):
    """One example: an input and its label."""

    x: Input
    y: Label


class NewTask(Body):
    """A task, with what is known of it so far."""

    name: Text = "Untitled"
    classes: list[Text] = []
    examples: list[Labelled] = []


class MoreExamples(Body):
    """Examples to learn from as well."""

    examples: Annotated[list[Labelled], Field(min_length=1)]


class Changes(Body):
    """Other names for a task or its classes (old to new), classes more, and classes taken away with their examples."""

    name: Text | None = None
    rename: dict[Text, Text] = {}
    add: list[Text] = []
    drop: list[Text] = []


class Questions(Body):
    """Inputs to answer, and below which confidence an answer counts as unsure.

    By default that is half way from chance to certain: 0.75 for two classes, 0.6 for five.
    """

    x: Annotated[list[Input], Field(min_length=1)]
    unsure_below: Annotated[float, Field(ge=0, le=1)] | None = None


class OneQuestion(Body):
    """One input whose answer is to be explained."""

    x: Input


class Stateless(Questions):
    """Examples and questions in one request; nothing is kept."""

    examples: Annotated[list[Labelled], Field(min_length=1)]


class OfTask(Questions):
    """Questions about one of several tasks."""

    task: str


class ManyTasks(Body):
    """Questions about several tasks."""

    requests: Annotated[list[OfTask], Field(min_length=1, max_length=1_000)]


Search = Annotated[str, Query(max_length=200)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=200)]
