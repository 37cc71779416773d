"""What is known of a name."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Entry:
    """One name.

    Args:
        kind: 'learner', 'net' or 'source'.
        name: what recipes and the command line call it.
        target: 'module:Class', imported only when it is built; a function for a source that makes a pool.
        line: what it is, for people.
        paper: where it comes from.
        preset: keywords that the name stands for.
    """

    kind: str
    name: str
    target: str
    line: str
    paper: str = ""
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def load(self) -> Any:
        """The class or function itself."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


def entries(kind: str, *rows: tuple[Any, ...]) -> tuple[Entry, ...]:
    """Entries of one kind, from their other fields."""
    return tuple(Entry(kind, *row) for row in rows)
