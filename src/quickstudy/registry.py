"""Names to objects and back: `build` makes what a table with a name and keywords says, and `describe` undoes it.

Nothing is imported before it is built, torch included, and nothing that is not in the catalogue is imported at all.
"""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .arguments import NONE, distances, fit, mentions, parameters
from .catalogue import CATALOGUE, KINDS, Entry
from .errors import ContractBroken, QuickstudyError, UnknownName, UserError

CUSTOM = "custom"  # the name of what is not in the catalogue

Table = Mapping[str, Any]


def entries(kind: str) -> list[Entry]:
    """Everything of one kind, in the order in which it is best read.

    >>> [entry.name for entry in entries("net")][:3]
    ['conv4', 'resnet12', 'mlp']
    """
    if kind not in KINDS:
        raise UnknownName.among("kind", kind, KINDS)
    return [entry for entry in CATALOGUE if entry.kind == kind]


def find(kind: str, name: str) -> Entry:
    """The entry of a name.

    Raises:
        UnknownName: with the nearest one that exists.
    """
    known = {entry.name: entry for entry in entries(kind)}
    if name not in known:
        raise UnknownName.among(kind, name, known)
    return known[name]


def build(kind: str, table: Table, **context: Any) -> Any:
    """What a table describes: {"name": ..., keywords ...}; tables inside it that have a name are built first.

    Args:
        kind: 'learner', 'net' or 'source'.
        table: keywords as TOML holds them: lists for tuples, "none" for None, names for distances.
        context: ready-made arguments by the name of the argument, wherever in the table it belongs: `encoder=MyNet()`.
            They are needed for what is not in the catalogue, and stand above what the table says.

    Raises:
        UnknownName: a name or keyword that does not exist, with the nearest one that does.
        UserError: a value of the wrong type, a missing keyword, or one that the class refuses.

    >>> build("learner", {"name": "prototypical", "encoder": {"name": "flatten"}}).encoder
    Flatten(start_dim=1, end_dim=-1)
    """
    used: set[str] = set()
    made = _build(kind, table, context, used)
    if set(context) - used:
        odd = min(set(context) - used)
        raise UserError(
            f"{odd}=... was handed over, but nothing in {kind} '{table.get('name')}' takes it; leave it out."
        )
    return made


def build_source(table: Table) -> Any:
    """A TaskSource; tasks of a pool are drawn by `Episodes`, whose keywords stand in the same table.

    A `seed` is that of the episodes: the pictures of a pool stay the same.

    Raises:
        UnknownName, UserError: as `build`.

    >>> build_source({"name": "sinusoids", "shots": 5}).shots
    5
    """
    entry = find("source", _name(table, "source"))
    maker = entry.load()
    if isinstance(maker, type):
        return build("source", table)
    if not mentions(typing.get_type_hints(maker)["return"], "Pool"):
        source = build("source", table)
        source.made_from = {"name": entry.name}
        return source
    episodes = importlib.import_module("quickstudy.tasks.episodes").Episodes
    own, others = parameters(episodes), parameters(maker)
    del own["pool"]
    _check_keywords(table, [*own, *others], "source", entry.name)
    given = {k: _argument(table[k], own[k][1], "source", entry.name, k) for k in own if k in table}
    pooled = {k: table[k] for k in others if k in table and k not in own}
    source = _call(episodes, {"pool": build("source", {"name": entry.name, **pooled}), **given}, "source", entry.name)
    # A pool is data and does not know how it was made; its tasks do, so that `describe` can say it.
    source.made_from = {"name": entry.name, **pooled}
    return source


def describe(value: Any) -> dict[str, Any]:
    """The table that builds this learner, net or source again: every option, from attributes named as the arguments.

    What is not in the catalogue becomes {"name": "custom", "class": "package.MyNet"}; `build` wants it handed over.

    Raises:
        ContractBroken: a class does not keep one of its arguments.

    >>> describe(build("net", {"name": "mlp", "inputs": 2, "outputs": 1}))
    {'name': 'mlp', 'inputs': 2, 'outputs': 1, 'hidden': [40, 40]}
    """
    made_from = getattr(value, "made_from", None)
    if made_from is not None and hasattr(value, "pool"):
        return {**made_from, **_options(value, leave_out="pool")}
    if made_from is not None:
        options = parameters(find("source", made_from["name"]).load())
        return {**made_from, **{name: _plain(getattr(value, name)) for name in options}}
    cls = type(value)
    of_class = [e for e in CATALOGUE if e.target.endswith(f":{cls.__name__}") and e.load() is cls]
    if not of_class:
        named = value if isinstance(value, types.FunctionType) else cls
        return {"name": CUSTOM, "class": f"{named.__module__}.{named.__qualname__}"}
    options = _options(value)
    # The name that says most: MAML with gradient='first-order' is FOMAML.
    fitting = [e for e in of_class if all(options.get(k) == v for k, v in e.preset.items())]
    entry = max(fitting, key=lambda e: len(e.preset))
    return {"name": entry.name} | {k: v for k, v in options.items() if k not in entry.preset}


def _build(kind: str, table: Table, context: Table, used: set[str]) -> Any:
    name = _name(table, kind)
    if name == CUSTOM:
        return _handed_over(kind, kind, table, context, used)
    entry = find(kind, name)
    maker = entry.load()
    known = parameters(maker)
    _check_keywords(table, known, kind, name)
    fixed = [k for k, v in entry.preset.items() if k in table and table[k] != v]
    if fixed:
        plain = next(e.name for e in CATALOGUE if e.target == entry.target and not e.preset)
        raise UserError(f"'{name}' stands for {fixed[0]} = {entry.preset[fixed[0]]!r}; to choose it, use '{plain}'.")
    given = dict(entry.preset)
    for key, (_, hint) in known.items():
        value = table.get(key)
        named = value["name"] if isinstance(value, Mapping) and "name" in value else None
        if key in context or named == CUSTOM:
            value = _handed_over(key, kind, value or {}, context, used)
        elif named is not None and isinstance(value, Mapping):
            value = _build("learner" if mentions(hint, "Learner") else "net", value, context, used)
        elif key not in table:
            continue
        given[key] = _argument(value, hint, kind, name, key)
    return _call(maker, given, kind, name)


def _handed_over(key: str, kind: str, table: Table, context: Table, used: set[str]) -> Any:
    if key not in context:
        raise UserError(
            f"The {key} of this {kind} is a {table.get('class', 'class of your own')}, which quickstudy does not know,"
            f" and nothing is imported because a file names it. Make it and hand it over: {key}=..."
        )
    used.add(key)
    return context[key]


def _argument(value: Any, hint: Any, kind: str, name: str, key: str) -> Any:
    try:
        return fit(value, hint)
    except TypeError as error:
        raise UserError(f"{key} = {value!r} of {kind} '{name}' should be {error}.") from None


def _name(table: Table, kind: str) -> str:
    name = table.get("name")
    if not isinstance(name, str):
        raise UserError(
            f'A {kind} needs a name, such as {{ name = "{entries(kind)[0].name}" }}; this has {dict(table)}.'
        )
    return name


def _check_keywords(table: Table, known: Iterable[str], kind: str, name: str) -> None:
    for key in table:
        if key != "name" and key not in known:
            raise UnknownName.among(f"option of {kind} '{name}' called", key, known)


def _call(maker: Callable[..., Any], given: Table, kind: str, name: str) -> Any:
    missing = [k for k, (p, _) in parameters(maker).items() if p.default is p.empty and k not in given]
    if missing:
        raise UserError(f"{kind.capitalize()} '{name}' needs {' and '.join(missing)}; give {missing[0]} = ...")
    try:
        return maker(**given)
    except QuickstudyError:
        raise
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UserError(f"{kind.capitalize()} '{name}' cannot be made: {str(error).partition(chr(10))[0]}") from error


def _options(value: Any, *, leave_out: str = "") -> dict[str, Any]:
    options = {}
    for name, (parameter, _) in parameters(type(value)).items():
        if name == leave_out:
            continue
        if not hasattr(value, name):
            raise ContractBroken(
                f"{type(value).__name__} does not keep its argument '{name}' as an attribute of that name."
            )
        plain = _plain(getattr(value, name))
        if plain is not None:
            options[name] = plain
        elif parameter.default is not None:
            options[name] = NONE
    return options


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, types.FunctionType) and distances().get(value.__name__) is value:
        return value.__name__
    return describe(value)
