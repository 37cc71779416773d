"""What a store keeps: tasks, examples, states."""

from __future__ import annotations

import dataclasses
import datetime
import secrets


@dataclasses.dataclass(frozen=True)
class Example:
    """One labelled input.

    Args:
        id: of it.
        label: name of its class, or the numbers of a target as JSON.
        given: the input as it came: JSON, or the bytes of a picture.
        encoded: the numbers that the learner sees.
        added: when.
    """

    id: str
    label: str
    given: bytes
    encoded: bytes
    added: str


@dataclasses.dataclass(frozen=True)
class Task:
    """A task that is being taught.

    Args:
        id: of it.
        name: that people gave it.
        kind: 'classification' or 'regression'.
        learner: identity of the bundle that its state and the numbers of its examples were made by.
        classes: names, in the order in which they came; some may have no example yet.
        version: goes up with each change.
        created: when.
        updated: when last.
        counts: class -> examples.
    """

    id: str
    name: str
    kind: str
    learner: str
    classes: tuple[str, ...]
    version: int
    created: str
    updated: str
    counts: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Kept:
    """A state in its file format, with its checksum."""

    sha256: str
    body: bytes


def new_id() -> str:
    """16 random hexadecimal digits."""
    return secrets.token_hex(8)


def now(later: datetime.timedelta = datetime.timedelta()) -> str:
    """The time in UTC, to the millisecond, or one that is so much later."""
    return (datetime.datetime.now(datetime.UTC) + later).isoformat(timespec="milliseconds").replace("+00:00", "Z")
