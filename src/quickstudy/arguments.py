"""Whether a value from a table, as TOML or JSON holds it, is what an argument's type asks for."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

NONE = "none"  # how a table, which has no word for it, writes None

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", types.NoneType: f'"{NONE}"'}
_SEQUENCES = (tuple, list, collections.abc.Sequence)


def parameters(maker: Callable[..., Any]) -> dict[str, tuple[inspect.Parameter, Any]]:
    """Name of an argument -> the argument and its type; without *args and **kwargs.

    >>> def f(a: int, *rest: int, b: float = 1.0): ...
    >>> {name: hint.__name__ for name, (_, hint) in parameters(f).items()}
    {'a': 'int', 'b': 'float'}
    """
    hints = typing.get_type_hints(inspect.getattr_static(maker, "__init__") if isinstance(maker, type) else maker)
    named = inspect.signature(maker).parameters.values()
    return {p.name: (p, hints.get(p.name, Any)) for p in named if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def distances() -> dict[str, Callable[..., Any]]:
    """The functions that a table may name."""
    module = importlib.import_module("quickstudy.functional.distances")
    return {name: getattr(module, name) for name in module.__all__}


def fit(value: Any, hint: Any) -> Any:
    """The value as an argument of type `hint` takes it: tuples for lists, None for "none", functions for their names.

    Types that are not told apart here take anything.

    Raises:
        TypeError: it does not fit; the message says what would, in words.

    >>> fit([1, 5], int | tuple[int, int]), fit("none", int | None), fit(1, float)
    ((1, 5), None, 1.0)
    >>> fit("five", int | None)
    Traceback (most recent call last):
    TypeError: a whole number or "none"
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_any(value, inside)
    if hint is types.NoneType and (value is None or value == NONE):
        return None
    if origin is Literal and value in inside:
        return value
    if hint in _WORDS and _is(value, hint):
        return float(value) if hint is float else value
    if origin in _SEQUENCES and isinstance(value, list | tuple):
        return _fit_each(value, origin, inside, hint)
    if origin is collections.abc.Callable:
        named = distances().get(value) if isinstance(value, str) else value
        if callable(named):
            return named
    elif not _told_apart(hint, origin) or (hint not in _WORDS and inspect.isclass(hint) and isinstance(value, hint)):
        return value
    raise TypeError(_words(hint))


def mentions(hint: Any, name: str) -> bool:
    """Whether a type is, or may be, a class of that name or one that descends from it.

    >>> mentions(int | None, "int"), mentions(bool, "int"), mentions(list[int], "int")
    (True, True, False)
    """
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return any(c.__name__ == name for choice in choices for c in getattr(choice, "__mro__", ()))


def _is(value: Any, hint: type) -> bool:
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def _told_apart(hint: Any, origin: Any) -> bool:
    return hint in _WORDS or origin in (Literal, *_SEQUENCES) or inspect.isclass(hint)


def _fit_any(value: Any, hints: tuple[Any, ...]) -> Any:
    # None first, for a text would take "none" as a text.
    for hint in sorted(hints, key=lambda h: h is not types.NoneType):
        try:
            return fit(value, hint)
        except TypeError:
            continue
    raise TypeError(" or ".join(_words(hint) for hint in hints))


def _fit_each(
    value: list[Any] | tuple[Any, ...],
    origin: Any,
    inside: tuple[Any, ...],
    hint: Any,
) -> tuple[Any, ...]:
    fixed = origin is tuple and Ellipsis not in inside
    if fixed and len(value) != len(inside):
        raise TypeError(_words(hint))
    hints = inside if fixed else (inside[0],) * len(value)
    return tuple(fit(item, each) for item, each in zip(value, hints, strict=True))


def _words(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in inside)
    if origin in _SEQUENCES:
        fixed = origin is tuple and Ellipsis not in inside
        words = " and ".join(_words(h) for h in inside if h is not ...)
        return f"a list of {len(inside)}: {words}" if fixed else f"a list of {words}"
    if origin is collections.abc.Callable:
        return "one of " + ", ".join(repr(name) for name in sorted(distances()))
    return f'a table with the name of a {getattr(hint, "__name__", hint)}, such as {{ name = "..." }}'
