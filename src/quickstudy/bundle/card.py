"""The README of a bundle: what it is, how it was judged, what it is not for, and the commands to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..catalogue import CATALOGUE
from ..errors import BadFile
from ..evaluation.result import Result
from ..learner import Learner

_TEXT = """# {title}

Made with quickstudy {quickstudy}: {line}{paper}.
Given a few labelled examples of a new task it answers questions about it, without further training.

| | |
|---|---|
| learner | {learner} (`{name}`), {parameters:,} weights |
| takes | {kind}, inputs shaped {feature} |
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
quickstudy evaluate {folder} --tasks 1000                # judge it again, on tasks it never saw
```"""

# The command line reads images; other inputs are handed over in Python.
_PYTHON = """```python
bundle = quickstudy.load_bundle("{folder}")
state, envelope = bundle.adapt(x, labels)                # learn a task from examples
answers = bundle.predict(state, envelope, queries)       # answer
```

```
quickstudy evaluate {folder} --tasks 1000                # judge it again, on tasks it never saw
```"""


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
    return _TEXT.format(
        title=recipe.get("title") or folder,
        quickstudy=recipe["quickstudy"],
        line=entry.line if entry else "a class of its user's own",
        paper=f" ({entry.paper})" if entry and entry.paper else "",
        learner=type(learner).__name__,
        name=name,
        parameters=recipe["weights"]["parameters"],
        kind=recipe["input"]["kind"],
        feature="x".join(map(str, recipe["input"]["feature"])),
        source=_protocol(recipe.get("source", {})),
        created=recipe["created"],
        judged=judged,
        audit=audit,
        limits=_limits(learner, recipe),
        use=(_COMMANDS if len(recipe["input"]["feature"]) == 3 else _PYTHON).format(folder=folder),
    )


def _judged(result: str | None) -> tuple[str, str]:
    if result is None:
        return "It was not judged: expect nothing of it before `quickstudy evaluate`.", "It was not audited."
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
    if learner.transductive:
        said.append("It is transductive: an answer depends on the questions that are asked together with it.")
    if learner.meta_gradient == "none":
        said.append("It is a baseline: it was not meta-trained itself.")
    return "\n".join(f"- {line}" for line in said)
