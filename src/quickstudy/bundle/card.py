"""The README of a bundle: what it is, how it was judged, what it is not for, and the commands to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..catalogue import CATALOGUE
from ..encoders.choice import CHOICES
from ..errors import BadFile
from ..evaluation.result import Result
from ..learner import Learner
from ..registry import CUSTOM

SHOWN = 12  # columns that are named

_TEXT = """# {title}

Made with quickstudy {quickstudy}: {line}{paper}.
Given a few labelled examples of a new task it answers questions about it, without further training.

| | |
|---|---|
| learner | {learner} (`{name}`), {parameters:,} weights |
| takes | {kind}, {inputs} |
| trained on | {source} |
| made | {created} |

## How it was judged

{judged}

{audit}

## Limits

{limits}

## Use

{use}

`recipe.toml` holds every option and a checksum of the weights, `learner.safetensors` the weights, `result.json` the
result in full. Nothing in here is executed when it is opened.
"""

_COMMANDS = """```
quickstudy adapt {folder} SUPPORT --out task.state       # learn a task from a folder of images for each class
quickstudy predict {folder} task.state QUERIES           # answer
{judge}```"""

# Numbers of any shape are handed over in Python.
_PYTHON = """```python
bundle = quickstudy.load_bundle("{folder}")
state, envelope = bundle.adapt(x, labels)                # learn a task from examples
answers = bundle.predict(state, envelope, queries)       # answer
```"""

_TABLE = """```
quickstudy adapt {folder} SUPPORT.csv --out task.state   # learn a task from a CSV or Parquet file
quickstudy predict {folder} task.state QUERIES.csv       # answer; beside the labels, where the file has them
{say}{judge}```

{columns} A column of another name is given as `--label NAME`, and so on."""

_JUDGE = "quickstudy evaluate {folder} --tasks 1000                # judge it again, on tasks it never saw\n"
_SAY = 'quickstudy predict {folder} task.state --say "{example}"      # answer one\n'
_SAID = {"text": "a text of one's own", "molecule": "CCO"}
_KINDS = {"label": "the answer", "text": "texts", "image": "image files", "smiles": "molecules in SMILES",
          "id_": "the series that a row belongs to", "when": "times", "values": "measured"}  # fmt: skip
_CAUTION = {
    "image": "Images are seen whole, squeezed to one size: what is small in a large image is lost.",
    "text": "Texts are read one by one: a meaning that the encoder does not see, no example brings back.",
    "molecule": "Of a molecule only the surroundings of its atoms count, not its shape in space.",
    "features": "Numbers are scaled by what was usual in the rows it was trained on, and a category that was not among"
    " them counts as missing. It needs the same columns, in any order.",
    "series": "Series must have the same channels, and may not be longer than those it was made for.",
}


def model_card(folder: str, learner: Learner, recipe: Mapping[str, Any], result: str | None) -> str:
    """Markdown text.

    Args:
        folder: name of the bundle.
        learner: the learner in it.
        recipe: what recipe.toml holds.
        result: what result.json holds.
    """
    name = recipe["learner"]["name"]
    entry = next((e for e in CATALOGUE if (e.kind, e.name) == ("learner", name)), None)
    judged, audit = _judged(result)
    named = recipe.get("source", {}).get("name") != CUSTOM  # else no command can make the tasks again
    return _TEXT.format(
        title=recipe.get("title") or folder,
        quickstudy=recipe["quickstudy"],
        line=entry.line if entry else "a class of its user's own",
        paper=f" ({entry.paper})" if entry and entry.paper else "",
        learner=type(learner).__name__,
        name=name,
        parameters=recipe["weights"]["parameters"],
        kind=recipe["input"]["kind"],
        inputs=_inputs(recipe["input"]),
        source=_protocol(recipe.get("source", {})) if named else "tasks of its user's own",
        created=recipe["created"],
        judged=judged,
        audit=audit,
        limits=_limits(learner, recipe),
        use=_use(folder, recipe["input"], _JUDGE.format(folder=folder) if named else ""),
    )


def _inputs(about: Mapping[str, Any]) -> str:
    shape = "x".join(map(str, about["feature"]))
    if "encoder" not in about:
        return f"inputs shaped {shape}"
    return f"{about['modality']}, which the encoder `{about['encoder']['name']}` makes numbers of, shaped {shape}"


def _use(folder: str, about: Mapping[str, Any], judge: str) -> str:
    """The commands that fit what it reads; `judge` is the last of them."""
    columns, modality = about.get("columns", {}), about.get("modality")
    if not columns and modality in (None, "image"):
        images = modality == "image" or len(about["feature"]) == 3
        if images:
            return _COMMANDS.format(folder=folder, judge=judge)
        return _PYTHON.format(folder=folder) + (f"\n\n```\n{judge}```" if judge else "")
    named = [f"`{column}` ({_KINDS[role]})" for role, column in columns.items() if role in _KINDS]
    if modality == "features":
        encoder = about["encoder"]
        features = [scale["name"] for scale in encoder["numeric"]] + [name for name, _ in encoder["categorical"]]
        named += [f"`{name}`" for name in features[:SHOWN]]
        named += [f"and {len(features) - SHOWN} more"] if len(features) > SHOWN else []
    say = _SAY.format(folder=folder, example=_SAID[modality]) if modality in _SAID else ""
    told = f"Columns: {', '.join(named)}." if named else "Columns are named by options."
    return _TABLE.format(folder=folder, say=say, judge=judge, columns=told)


def _judged(result: str | None) -> tuple[str, str]:
    if result is None:
        return "It was not judged: expect nothing of it before it is.", "It was not audited."
    try:
        found = Result.from_json(json.loads(result))
    except (BadFile, ValueError):
        return "See `result.json`.", "Whether it was audited, `result.json` says."
    verdict = (found.audit or {}).get("sentence")
    name = "accuracy: " if found.metric == "accuracy" else ""
    said = f"{name}**{found}**\n\nProtocol: {_protocol(found.protocol)}. Tasks: `{found.manifest[:16]}`."
    return said, f"Audit: {verdict}" if verdict else "It was not audited for leaks; `quickstudy audit` does it."


def _protocol(table: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in table.items()) or "tasks that nobody wrote down"


def _limits(learner: Learner, recipe: Mapping[str, Any]) -> str:
    said = ["The numbers above hold for tasks like those it was judged on; on others it may do no better than chance."]
    if recipe["input"]["kind"] == "classification":
        said.append("It always names one of the classes it was given, also when the right answer is none of them.")
        if not learner.class_equivariant:
            said.append("Its last layer is of fixed size: it takes no more classes than that has outputs.")
    if "encoder" in recipe["input"]:
        name, modality = recipe["input"]["encoder"]["name"], recipe["input"]["modality"]
        what = next(choice.what for choice in CHOICES if choice.name == name)
        said.append(f"Inputs go through a frozen encoder first, `{name}`: {what}. {_CAUTION[modality]}")
    if learner.transductive:
        said.append("It is transductive: an answer depends on the questions that are asked together with it.")
    if learner.meta_gradient == "none":
        said.append("It is a baseline: it was not meta-trained itself.")
    return "\n".join(f"- {line}" for line in said)
