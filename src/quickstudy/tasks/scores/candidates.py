"""What can be tried: algorithms, configurations, architectures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import BadExamples
from .space import Space


@dataclasses.dataclass(frozen=True)
class Candidates:
    """What can be tried: algorithms, configurations, architectures.

    Args:
        names: one a candidate, all different.
        encoding: (C, e) what is known of each, comparable along each column (0..1 where a search space made it); e may
            be 0, for candidates that are names alone.
        configurations: the settings behind each, for whoever runs it; empty where the name says all.
        space: the search space that the encoding is of; None where there is none.
    """

    names: tuple[str, ...]
    encoding: Tensor
    configurations: tuple[dict[str, Any], ...] = ()
    space: Space | None = None

    @classmethod
    def of(cls, configurations: Sequence[Mapping[str, Any]], space: Space | None = None) -> Candidates:
        """Configurations of a search space, by default of the smallest that holds them; named by their settings.

        >>> Candidates.of([{"C": 1.0}, {"C": 10.0}]).names
        ('C=1', 'C=10')
        """
        space = Space.seen(configurations) if space is None else space
        names = tuple(name_of(configuration) for configuration in configurations)
        return cls(names, space.encode(configurations), tuple(dict(c) for c in configurations), space)

    @classmethod
    def named(cls, names: Sequence[str]) -> Candidates:
        """Candidates of which nothing is known but their names."""
        return cls(tuple(names), torch.empty(len(names), 0, dtype=torch.float64))

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise BadExamples(f"The candidate '{twice}' is there twice; merge its scores, or name it apart.")
        if len(self.encoding) != len(self.names) or len(self.configurations) not in (0, len(self.names)):
            raise BadExamples(
                f"There are {len(self.names)} candidates, {len(self.encoding)} encodings and"
                f" {len(self.configurations)} configurations; give one of each a candidate."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def x(self) -> Tensor:
        """(C, 1 + e) inputs as learners take them: a candidate's number (-1 for one that is new), then its encoding."""
        number = torch.arange(len(self), dtype=self.encoding.dtype).unsqueeze(1)
        return torch.cat([number, self.encoding], 1)

    def select(self, which: Tensor) -> Candidates:
        """Some of them, numbered anew."""
        rows = which.tolist()
        configurations = tuple(self.configurations[i] for i in rows) if self.configurations else ()
        return Candidates(tuple(self.names[i] for i in rows), self.encoding[which], configurations, self.space)

    def joined(self, other: Candidates) -> Candidates:
        """These candidates, then those that only the other has, all encoded in the space that holds both.

        Raises:
            BadExamples: encodings that cannot be compared.
        """
        known = set(self.names)
        new = [i for i, name in enumerate(other.names) if name not in known]
        names = (*self.names, *(other.names[i] for i in new))
        if self.space is not None and other.space is not None:
            configurations = (*self.configurations, *(other.configurations[i] for i in new))
            space = self.space.united(other.space)
            return Candidates(names, space.encode(configurations), configurations, space)
        if self.space is not None or other.space is not None or self.encoding.shape[1] != other.encoding.shape[1]:
            raise BadExamples(
                f"Candidates of {self.encoding.shape[1]} and of {other.encoding.shape[1]} columns cannot be compared;"
                " give all of them configurations of a search space, or none."
            )
        configurations = (*self.configurations, *(other.configurations[i] for i in new))
        complete = configurations if len(configurations) == len(names) else ()
        return Candidates(names, torch.cat([self.encoding, other.encoding[new]]), complete)


def name_of(configuration: Mapping[str, Any]) -> str:
    """The settings in alphabetical order, so that a configuration has one name wherever it comes from.

    >>> name_of({"kernel": "rbf", "C": 1.0})
    'C=1, kernel=rbf'
    """
    return ", ".join(f"{name}={_short(configuration[name])}" for name in sorted(configuration)) or "default"


def _short(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
