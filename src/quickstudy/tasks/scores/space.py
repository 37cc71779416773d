"""Search spaces: which configurations there are, and what each is as numbers from 0 to 1."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UnknownName, UserError
from ...rng import Rng
from .settings import Choice, Number, Setting, holds, is_number


@dataclasses.dataclass(frozen=True)
class Space:
    """The settings that a configuration may have, some of them only together with certain values of others.

    A configuration is a dict. As numbers it is a row: the columns of each setting in turn, and, after those of a
    setting that may be absent, one that is 1 where it is there.

    Args:
        settings: by name; what one depends on comes before it.

    >>> space = Space({"kernel": Choice(["rbf", "line"]), "gamma": Number(0.01, 1, log=True, when={"kernel": ["rbf"]})})
    >>> space.columns, space.encode([{"kernel": "rbf", "gamma": 0.1}, {"kernel": "line"}]).tolist()
    (('kernel=rbf', 'kernel=line', 'gamma', 'gamma?'), [[1.0, 0.0, 0.5, 1.0], [0.0, 1.0, 0.5, 0.0]])
    >>> space.decode(torch.tensor([[0.1, 0.9, 0.3, 1.0]]))
    [{'kernel': 'line'}]
    """

    settings: Mapping[str, Setting]

    def __post_init__(self) -> None:
        before: list[str] = []
        for name, setting in self.settings.items():
            for parent in setting.when or ():
                if parent not in before:
                    raise UnknownName.among(f"setting before '{name}' called", parent, before)
            before.append(name)

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Space:
        """A space from plain dicts, as JSON and TOML hold them, or from the distributions of an Optuna study.

        >>> Space.of({"C": {"low": 1, "high": 100, "log": True}, "kernel": {"choices": ["rbf", "line"]}}).columns
        ('C', 'kernel=rbf', 'kernel=line')
        """
        return cls({name: _setting(name, value) for name, value in described.items()})

    @classmethod
    def seen(cls, configurations: Sequence[Mapping[str, Any]], known: Mapping[str, Setting] | None = None) -> Space:
        """The smallest space that holds some configurations: for past trials whose space nobody wrote down.

        Numbers go from the least to the largest, in logarithms where these fill the range more evenly; a setting that
        some configurations lack depends on the first choice that explains when.

        Args:
            configurations: what was tried.
            known: settings whose range is known, if not when they are there.

        >>> Space.seen([{"kernel": "rbf", "gamma": 0.1}, {"kernel": "line"}]).settings["gamma"].when
        {'kernel': ('rbf',)}
        """
        names = list(dict.fromkeys(name for configuration in configurations for name in configuration))
        always = [name for name in names if all(name in configuration for configuration in configurations)]
        settings: dict[str, Setting] = {}
        for name in always + [name for name in names if name not in always]:
            values = [configuration[name] for configuration in configurations if name in configuration]
            setting = (known or {}).get(name) or _seen(values)
            when = None if name in always else _rule(name, settings, configurations)
            settings[name] = dataclasses.replace(setting, when=when)
        return cls(settings)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each number of a row says."""
        names: list[str] = []
        for name, setting in self.settings.items():
            apart = isinstance(setting, Choice) and not setting.ordered
            names += [f"{name}={choice}" for choice in setting.choices] if apart else [name]  # type: ignore[union-attr]
            names += [f"{name}?"] if setting.when is not None else []
        return tuple(names)

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> Tensor:
        """(n, columns) float64, all 0..1.

        Raises:
            UserError: a configuration that is not of this space; the message names the setting.
        """
        for configuration in configurations:
            for name in configuration:
                if name not in self.settings:
                    raise UnknownName.among("setting", name, self.settings)
        parts = [np.zeros((len(configurations), 0))]
        for name, setting in self.settings.items():
            there = np.array([name in configuration for configuration in configurations], dtype=bool)
            if setting.when is None and not there.all():
                raise UserError(f"The configuration {dict(configurations[int(np.argmin(there))])} has no '{name}'.")
            part = np.full((len(there), setting.width), setting.inactive)
            try:
                part[there] = setting.encode([c[name] for c in configurations if name in c]).reshape(-1, setting.width)
            except UserError as error:
                raise type(error)(f"The setting '{name}': {error}") from error
            parts += [part] if setting.when is None else [part, there[:, None].astype(np.float64)]
        return torch.from_numpy(np.concatenate(parts, 1))

    def decode(self, encoding: Tensor) -> list[dict[str, Any]]:
        """The configurations that rows stand for, exact for rows of `encode` and the nearest for any others."""
        configurations = []
        for row in encoding.tolist():
            configuration: dict[str, Any] = {}
            at = 0
            for name, setting in self.settings.items():
                cells, at = row[at : at + setting.width], at + setting.width + (setting.when is not None)
                if setting.when is None or (holds(setting.when, configuration) if setting.when else row[at - 1] > 0.5):
                    configuration[name] = setting.decode(cells)
            configurations.append(configuration)
        return configurations

    def sample(self, first: int, count: int, *, rng: Rng) -> list[dict[str, Any]]:
        """Configurations first, first + 1, ... of a random sequence in which every value is equally likely."""
        return self.decode(torch.from_numpy(rng.uniform(np.arange(first, first + count), len(self.columns))))

    def united(self, other: Space) -> Space:
        """The space that holds the configurations of both; what only one has may be absent.

        Raises:
            UserError: a setting is a number in one and a choice in the other.
        """
        settings: dict[str, Setting] = {}
        for name in dict.fromkeys((*self.settings, *other.settings)):
            mine, theirs = self.settings.get(name), other.settings.get(name)
            if mine is not None and theirs is not None:
                settings[name] = _united(name, mine, theirs)
            else:
                only = mine or theirs
                assert only is not None  # the name came from one of them
                settings[name] = dataclasses.replace(only, when={} if only.when is None else only.when)
        return Space(settings)


def _setting(name: str, described: Any) -> Setting:
    if isinstance(described, Number | Choice):
        return described
    if not isinstance(described, Mapping):  # an Optuna distribution, known by what it has
        fields = ("choices",) if hasattr(described, "choices") else ("low", "high", "log", "step")
        described = {field: getattr(described, field) for field in fields if hasattr(described, field)}
        if isinstance(described.get("low"), int):
            described |= {"whole": True, "step": described["step"] if described["step"] > 1 else None}
    kind = Choice if "choices" in described else Number
    try:
        return kind(**described)
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(kind))
        raise UserError(f"The setting '{name}' is {dict(described)}; it is made of {known}.") from error


def _united(name: str, one: Setting, other: Setting) -> Setting:
    if isinstance(one, Number) and isinstance(other, Number):
        return one.united(other)
    if isinstance(one, Choice) and isinstance(other, Choice):
        return one.united(other)
    raise UserError(f"The setting '{name}' is a number in one space and a choice in the other.")


def _seen(values: Sequence[Any]) -> Setting:
    """The narrowest setting with these values."""
    if not all(map(is_number, values)):
        return Choice(list({repr(value): value for value in values}.values()))
    distinct = np.unique(np.array(values, dtype=np.float64))
    low, high = float(distinct[0]), float(distinct[-1])
    whole = all(isinstance(value, numbers.Integral) for value in values)
    log = low > 0 and len(distinct) > 2 and _gap(np.log(distinct)) < _gap(distinct)
    return Number(int(low) if whole else low, int(high) if whole else high, log, whole)


def _gap(rising: np.ndarray) -> float:
    """The widest gap between neighbours, as a share of the range."""
    return float(np.diff(rising).max() / (rising[-1] - rising[0]))


def _rule(name: str, settings: Mapping[str, Setting], configurations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first choice whose value tells whether `name` is there, and with which values it is."""
    for parent, setting in settings.items():
        if isinstance(setting, Choice):
            used = [c for c in configurations if parent in c]
            chosen = Choice(setting.choices)
            having = {int(np.argmax(chosen.encode([c[parent]]))) for c in used if name in c}
            lacking = {int(np.argmax(chosen.encode([c[parent]]))) for c in used if name not in c}
            if having and not having & lacking and all(parent in c for c in configurations if name in c):
                return {parent: tuple(setting.choices[i] for i in sorted(having))}
    return {}
