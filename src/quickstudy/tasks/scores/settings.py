"""The settings of a search space: numbers and choices, and how their values become numbers from 0 to 1."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ...errors import UnknownName, UserError

When: TypeAlias = Mapping[str, Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class Number:
    """A setting that is a number; one column, in which equal steps are equally likely.

    Args:
        low: the least value.
        high: the largest, included.
        log: equal steps are equal factors; needs low > 0.
        whole: no fractions.
        step: the distance between values, None for any (1 for whole numbers).
        when: the values of other settings with which it is there, all of which must hold; None for always, empty where
            it is sometimes absent and nobody knows the rule.

    >>> Number(1, 4, whole=True).encode([1, 4]).ravel().tolist(), Number(1e-3, 1e3, log=True).decode([0.5])
    ([0.125, 0.875], 1.0)
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: float | None = None
    when: When | None = None

    inactive = 0.5  # what its column says where it is absent: as near to every value as one number can be

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or self.low > self.high or (self.log and self.low <= 0):
            rule = "0 < low <= high" if self.log else "low <= high"
            raise UserError(f"A setting goes from {self.low} to {self.high}; it needs {rule}, both finite.")

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return 1

    def encode(self, values: Sequence[Any]) -> np.ndarray:
        """(n, 1) of 0..1.

        Raises:
            UserError: a value that is no number, or beyond the ends.
        """
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"Some of {_shown(values)} are no numbers.") from error
        slack = 1e-9 * max(abs(self.low), abs(self.high))  # for sums of steps
        wrong = ~((array >= self.low - slack) & (array <= self.high + slack))
        if wrong.any():
            raise UserError(f"{values[int(np.argmax(wrong))]!r} is not from {self.low} to {self.high}.")
        low, high = self._ends
        if low == high:
            return np.full((len(array), 1), self.inactive)
        even = np.log(array) if self.log else array
        return ((even - low) / (high - low)).clip(0.0, 1.0)[:, None]

    def decode(self, row: Sequence[float] | np.ndarray) -> float:
        """The value that one row of `encode` stands for."""
        low, high = self._ends
        value = low + float(np.clip(row[0], 0.0, 1.0)) * (high - low)
        value = math.exp(value) if self.log else value
        if self._grid:
            steps = math.floor((self.high - self.low) / self._grid + 1e-9)
            value = self.low + min(max(round((value - self.low) / self._grid), 0), steps) * self._grid
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else value

    def united(self, other: Number) -> Number:
        """What covers both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        step = self.step if self.step == other.step and self.low == other.low else None
        log, whole = (self.log or other.log) and low > 0, self.whole and other.whole
        return Number(low, high, log, whole, step, either(self.when, other.when))

    @property
    def _grid(self) -> float:
        """The distance between values, 0 for any."""
        return float(self.step or (1.0 if self.whole else 0.0))

    @property
    def _ends(self) -> tuple[float, float]:
        """Where the column begins and ends; a value on a grid is the middle of its share, so all are equally likely."""
        half = self._grid / 2
        if not self.log:
            return self.low - half, self.high + half
        return math.log(self.low - half if half < self.low else self.low), math.log(self.high + half)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A setting that is one of several; a column each, or one for all where they have an order.

    Args:
        choices: all different.
        ordered: neighbours are alike.
        when: as of `Number`.

    >>> Choice(("relu", "tanh")).encode(["tanh"]).tolist(), Choice(("s", "m"), ordered=True).encode(["s"]).tolist()
    ([[0.0, 1.0]], [[0.25]])
    """

    choices: Sequence[Any]
    ordered: bool = False
    when: When | None = None

    inactive = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        if not self.choices or len({_key(choice) for choice in self.choices}) < len(self.choices):
            raise UserError(f"The choices {_shown(self.choices)} must be one or more, and all different.")

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return 1 if self.ordered else len(self.choices)

    def encode(self, values: Sequence[Any]) -> np.ndarray:
        """(n, width) of 0..1.

        Raises:
            UnknownName: a value that is no choice.
        """
        places = {_key(choice): i for i, choice in enumerate(self.choices)}
        for value in values:
            if _key(value) not in places:
                raise UnknownName.among("choice", str(value), map(str, self.choices))
        numbers = np.array([places[_key(value)] for value in values], dtype=np.int64)
        return ((numbers + 0.5) / len(places))[:, None] if self.ordered else np.eye(len(places))[numbers]

    def decode(self, row: Sequence[float] | np.ndarray) -> Any:
        """The choice that one row of `encode` stands for: the highest column."""
        if not self.ordered:
            return self.choices[int(np.argmax(row))]
        return self.choices[min(max(int(row[0] * len(self.choices)), 0), len(self.choices) - 1)]

    def united(self, other: Choice) -> Choice:
        """What covers both: these choices, then what the other has beside them."""
        known = {_key(choice) for choice in self.choices}
        choices = (*self.choices, *(choice for choice in other.choices if _key(choice) not in known))
        return Choice(choices, self.ordered and other.ordered, either(self.when, other.when))


Setting: TypeAlias = Number | Choice


def either(one: When | None, other: When | None) -> When | None:
    """When a setting is there that is there by either rule."""
    if one is None and other is None:
        return None
    if one is None or other is None or one.keys() != other.keys():
        return {}
    return {name: Choice(values).united(Choice(other[name])).choices for name, values in one.items()}


def holds(when: When, configuration: Mapping[str, Any]) -> bool:
    """Whether a configuration has the values that a setting needs to be there."""
    return all(
        name in configuration and _key(configuration[name]) in {_key(value) for value in values}
        for name, values in when.items()
    )


def is_number(value: Any) -> bool:
    """Whether a value is a number of Python or numpy; True and False are choices."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _key(value: Any) -> tuple[bool, str]:
    """What tells choices apart: True is not 1, and 1 is 1.0; lists and objects by what they print."""
    return is_number(value), repr(float(value)) if is_number(value) else repr(value)


def _shown(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:5])
    return f"{shown}, ..." if len(values) > 5 else shown
