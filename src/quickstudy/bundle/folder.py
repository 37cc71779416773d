"""A learner in a folder: weights, a readable recipe, the result it was judged by, and a model card.

    recipe.toml            every option, what it was trained on, and a checksum of the weights
    learner.safetensors    the weights, sealed with a checksum of recipe and result
    result.json            how it was judged
    README.md              the model card

Opening one executes nothing: weights are plain tensors, and classes come from the catalogue or from the caller.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from torch import nn

from ..encoders.choice import choices
from ..encoders.protocol import Encoder
from ..encoders.written import write_encoder
from ..errors import BadFile, UserError
from ..learner import Learner
from ..registry import describe
from ..state import fingerprint, read_tensors, write_tensors
from ..storage import replaced_folder, write_atomically
from ..tasks.class_groups import ClassGroups
from ..tasks.source import TaskSource
from ..version import __version__
from .building import built, fill
from .card import model_card
from .use import Bundle

FORMAT = 1
RECIPE, WEIGHTS, RESULT, CARD = "recipe.toml", "learner.safetensors", "result.json", "README.md"
_ABOUT = ("format", "quickstudy", "created", "input", "weights", "trained_on")  # no part of a recipe for training


def save_bundle(
    folder: str | Path,
    learner: Learner,
    *,
    source: TaskSource | None = None,
    recipe: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | str | None = None,
    feature: Sequence[int] | None = None,
    kind: str | None = None,
    classes: Sequence[str] = (),
    encoder: Encoder | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Path:
    """Write a learner and all that is known about it; a bundle that stands there is replaced when this one is whole.

    Args:
        folder: where; the user's own files in an older bundle are kept.
        learner: any; parts that are not in the catalogue must be handed over when it is loaded.
        source: tasks it was trained on: gives `feature`, `kind` and, where the recipe has none, the table [source].
        recipe: the training recipe as tables (`Recipe.table()`).
        results: what `evaluate` found: `Result.to_json()`, or a table.
        feature: shape of one input.
        kind: 'classification' or 'regression'.
        classes: names of the classes it was trained on, if they are to be kept.
        encoder: what made its inputs, one of quickstudy's own: whoever has the bundle can give it raw inputs then.
        columns: role (label, text, image, smiles, id_, when, values, task) -> column of the user's table.

    Raises:
        UserError: none of `source`, `feature` and `encoder` is given, or they differ; or the folder holds something
            else.
        QuickstudyError: it cannot be written; an older bundle is untouched.
    """
    folder = Path(folder).resolve()
    table = {k: v for k, v in _without_none(dict(recipe or {})).items() if k not in _ABOUT}
    if source is not None:
        table.setdefault("source", describe(source))
        task = source.sample(0, 1)
        feature, kind = task.support.x.shape[2:] if feature is None else feature, kind or task.kind
    if feature is None and encoder is not None:
        feature = encoder.feature
    if feature is None:
        raise UserError("A bundle says which inputs it takes: give source=..., or feature=(1, 28, 28) and kind=...")
    table["learner"] = describe(learner)
    table["input"] = {"feature": [int(n) for n in feature], "kind": kind or learner.kinds[0]}
    if encoder is not None:
        table["input"] |= _reading(encoder, columns or {}, tuple(feature))
    if isinstance(source, ClassGroups) and source.labels == "shared":
        table["input"]["classes"] = list(source.classes)
    if classes:
        table["trained_on"] = {"classes": list(classes)}
    result = results if isinstance(results, str | None) else json.dumps(dict(results), indent=1, default=str)
    _write(folder, learner, table, result)
    return folder


def _reading(encoder: Encoder, columns: Mapping[str, Any], feature: tuple[int, ...]) -> dict[str, Any]:
    """What [input] says of raw inputs."""
    if type(encoder) not in [choice.maker for choice in choices(encoder.modality)]:
        raise UserError(
            f"{type(encoder).__name__} is none of quickstudy's encoders, so a bundle cannot say how to make it again;"
            " leave encoder out, and give the bundle what it makes."
        )
    if tuple(encoder.feature) != feature:
        raise UserError(f"The encoder makes inputs of {tuple(encoder.feature)}, but the learner takes {feature}.")
    named = {
        role: column if isinstance(column, str) else [str(name) for name in column]
        for role, column in columns.items()
        if column is not None
    }
    return {"modality": encoder.modality, "encoder": _without_none(write_encoder(encoder)), "columns": named}


def _write(folder: Path, learner: Learner, table: dict[str, Any], result: str | None) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    table = {"format": FORMAT, "quickstudy": __version__, "created": now} | table
    seal = _seal(table, result)
    table["weights"] = {"sha256": fingerprint(learner), "parameters": sum(p.numel() for p in learner.parameters())}
    with replaced_folder(folder, ours=(RECIPE, WEIGHTS, RESULT, CARD)) as fresh:
        write_tensors(fresh / WEIGHTS, "learner", FORMAT, learner.state_dict(), {"seal": seal})
        write_atomically(fresh / RECIPE, tomli_w.dumps(table).encode())
        if result is not None:
            write_atomically(fresh / RESULT, result.encode())
        write_atomically(fresh / CARD, model_card(folder.name, learner, table, result).encode())


def load_bundle(folder: str | Path, **modules: nn.Module) -> Bundle:
    """The learner in a folder, ready to adapt.

    Args:
        folder: what `save_bundle` wrote.
        modules: parts of your own classes, by the name of their argument: `load_bundle(folder, encoder=MyNet())`.

    Raises:
        BadFile: missing, truncated, altered, or of a newer version; the message says which file and what to do.
        UserError: a part of a class that quickstudy does not know was not handed over.

    >>> import tempfile
    >>> from quickstudy.learners.baseline.nearest import NearestNeighbour
    >>> with tempfile.TemporaryDirectory() as home:
    ...     bundle = load_bundle(save_bundle(Path(home) / "bundle", NearestNeighbour(), feature=(2,)))
    >>> state, envelope = bundle.adapt([[0.0, 1.0], [1.0, 0.0]], ["owl", "lynx"])
    >>> bundle.predict(state, envelope, [[0.9, 0.1]]).names
    ('lynx',)
    """
    folder = Path(folder).resolve()
    table = _read_recipe(folder)
    result = _text(folder / RESULT) if (folder / RESULT).exists() else None
    tensors, facts = read_tensors(folder / WEIGHTS, "learner", FORMAT)
    weights = table.pop("weights", None)
    if not isinstance(weights, dict) or weights.get("sha256") != facts["sha256"]:
        raise BadFile(f"The weights in {folder} are not those that its {RECIPE} speaks of; get the whole bundle again.")
    if facts.get("seal") != _seal(table, result):
        raise BadFile(f"{RECIPE} or {RESULT} in {folder} was altered after it was saved; get the whole bundle again.")
    try:
        about = {k: table.pop(k) for k in _ABOUT if k in table} | {"weights": weights}
        given = dict(about["input"])
        about["input"] = given | {"feature": [int(n) for n in given["feature"]], "kind": str(given["kind"])}
        learner = built(folder, table["learner"], str(about["quickstudy"]), modules)
        found = None if result is None else json.loads(result)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise BadFile(f"The bundle in {folder} is damaged ({error!r}); get it again.") from error
    fill(learner, tensors, folder)
    return Bundle(learner.eval(), table, found, about)


def _text(path: Path) -> str:
    if not path.is_file():
        raise BadFile(f"There is no {path.name} in {path.parent}, so it is not a bundle; `quickstudy train` makes one.")
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise BadFile(f"{path} cannot be read: {error}.") from error


def _read_recipe(folder: Path) -> dict[str, Any]:
    left = folder.with_name(f".{folder.name}.old")
    if not folder.is_dir():
        hint = f" Saving it was interrupted; the one before is whole, in {left}." if left.is_dir() else ""
        raise BadFile(f"There is no bundle at {folder}: no such folder.{hint}")
    try:
        table = tomllib.loads(_text(folder / RECIPE))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadFile(f"{folder / RECIPE} is not valid TOML ({error}); it is truncated or was altered.") from error
    number = table.get("format")
    if not isinstance(number, int):
        raise BadFile(f"{folder / RECIPE} does not say which format the bundle has; it is no bundle, or was altered.")
    if number > FORMAT:
        raise BadFile(
            f"The bundle in {folder} is of format {number} (quickstudy {table.get('quickstudy')}), newer than {FORMAT},"
            f" the newest that quickstudy {__version__} knows; update quickstudy."
        )
    return table


def _seal(table: Mapping[str, Any], result: str | None) -> str:
    """SHA-256 over what the recipe says, however it is laid out, and over the result."""
    text = json.dumps([{k: v for k, v in table.items() if k != "weights"}, result], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_none(value: Any) -> Any:
    """The same without what TOML cannot say."""
    if isinstance(value, Mapping):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value if v is not None] if isinstance(value, list | tuple) else value
