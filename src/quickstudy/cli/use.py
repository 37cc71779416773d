"""`quickstudy adapt` and `predict`: a new task from a few examples, and answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from rich.markup import escape

from ..bundle import Bundle, load_bundle
from ..bundle.reading import encoded, read_for, said
from ..errors import BadFile, UserError
from ..evaluation.intervals import mean_interval, wilson
from ..evaluation.result import rounded
from ..state import FORMAT, Envelope, load_state, read_tensors, save_state
from .output import as_json, console, emit, table

WIDE = 44  # characters of a cell, so that answers have room beside the question on a usual terminal


def names_columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for columns that are called otherwise than in the tables that a bundle was made of."""
    helps = {
        "values": "The measured columns, with commas, if they are called otherwise here.",
        "when": "Column of times, if it is called otherwise here.",
        "id_": "Column that says which series a row belongs to, if it is called otherwise here.",
        "smiles": "Column of molecules, if it is called otherwise here.",
        "image": "Column of image files, if it is called otherwise here.",
        "text": "Column of texts, if it is called otherwise here.",
        "label": "Column of answers, if it is called otherwise here.",
    }
    for role, words in helps.items():
        metavar = "COLUMNS" if role == "values" else "COLUMN"
        command = click.option(f"--{role.rstrip('_')}", role, metavar=metavar, help=words)(command)
    return command


@click.command("adapt")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("support", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="The state file to write.")
@names_columns
@as_json
def adapt_command(bundle: Path, support: Path, out: Path, as_json: bool, **columns: str | None) -> None:
    """Learn a new task from SUPPORT: a folder with a folder of images for each class, or a CSV or Parquet file.

    A file has the columns of the table that `study` was given, without the column of tasks; one row an example. Rows
    without a label are left out.

    \b
    quickstudy adapt study/bundle study/next-task/support --out next-task.state
    quickstudy adapt study/bundle new-shop.csv --label rating --out new-shop.state
    """
    loaded = load_bundle(bundle)
    asked = read_for(loaded, support, support=True, called=_called(columns))
    x = torch.cat(list(encoded(loaded, asked)))
    state, envelope = loaded.adapt(x, asked.labels)
    save_state(state, out, envelope)
    met = set() if asked.labels is None else {str(label) for label in asked.labels.tolist()}
    lacking = [name for name in envelope.classes if name not in met]
    notes = [*asked.notes, *(f"there is no example of '{name}', which can hardly be answered" for name in lacking)]
    if len(envelope.classes) == 1:
        notes.append(f"all examples are of '{envelope.classes[0]}', and so will be all answers")
    _tell(notes, as_json)
    classes = list(envelope.classes)
    plain = {"state": str(out), "classes": classes, "examples": len(x), "bytes": out.stat().st_size, "notes": notes}
    what = f"{len(classes)} classes" if loaded.kind == "classification" else "a regression"
    emit(plain, f"Learned {what} from {len(x)} examples: {out} ({out.stat().st_size:,} bytes)", as_json)


@click.command("predict")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("state", type=click.Path(path_type=Path))
@click.argument("queries", type=click.Path(path_type=Path), required=False)
@click.option("--say", multiple=True, metavar="TEXT", help="A text to answer, in place of QUERIES; may be repeated.")
@names_columns
@as_json
def predict_command(
    bundle: Path, state: Path, queries: Path | None, say: tuple[str, ...], as_json: bool, **columns: str | None
) -> None:
    """Answer QUERIES (an image, a folder of images, or a CSV or Parquet file) with a STATE that `adapt` made.

    Where a file has the column of labels too, they are shown beside the answers, and the answers are judged by them.
    --json gives a list of answers; judged ones as {"answers": [...], "judged": {...}}.

    \b
    quickstudy predict study/bundle next-task.state study/next-task/queries
    quickstudy predict study/bundle new-shop.state reviews.csv
    quickstudy predict study/bundle new-shop.state --say "the screen broke"
    """
    loaded = load_bundle(bundle)
    if (queries is None) != bool(say):
        raise UserError("Give QUERIES, a file or a folder, or texts by --say; one of them.")
    learned, envelope = _learned(loaded, state)
    called = _called(columns)
    if say and called:
        raise UserError(f"--{next(iter(called)).rstrip('_')} names a column of a file; --say has none.")
    asked = said(say, loaded) if queries is None else read_for(loaded, queries, support=False, called=called)
    rows: list[dict[str, Any]] = []
    for x in encoded(loaded, asked):
        rows += _rows(loaded, learned, envelope, x)
    rows = [{"query": name} | row for name, row in zip(asked.names, rows, strict=True)]
    judged = None if asked.labels is None else _judge(rows, asked.labels)
    _tell([*asked.notes, *_strange(rows, envelope)], as_json)
    if as_json:
        emit(rows if judged is None else {"answers": rows, "judged": judged}, "", True)
        return
    columns_shown = list(dict.fromkeys(key for row in rows for key in row))
    table(columns_shown, [[_shown(row.get(key), key) for key in columns_shown] for row in rows])
    if judged is not None:
        click.echo(judged["sentence"])


def _called(columns: dict[str, str | None]) -> dict[str, str]:
    return {role: column for role, column in columns.items() if column is not None}


def _tell(notes: list[str], quiet: bool) -> None:
    where = console(quiet)
    for note in notes:
        where.print(f"note: {note}", markup=False, soft_wrap=True)


def _learned(bundle: Bundle, path: Path) -> tuple[Any, Envelope]:
    """A state and its envelope; whose it is is looked at first, as states of other learners look otherwise."""
    _, about = read_tensors(path, "state", FORMAT)
    try:
        whose = Envelope(str(json.loads(about["envelope"])["learner"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(f"The state in {path} does not say whose it is ({error!r}); adapt again.") from error
    bundle.check(whose)
    learned: tuple[Any, Envelope] = load_state(path, bundle.learner.State)
    return learned


def _rows(bundle: Bundle, state: Any, envelope: Envelope, x: torch.Tensor) -> list[dict[str, Any]]:
    answers = bundle.predict(state, envelope, x)
    if answers.values is None:
        return [{"answer": name, "confidence": round(p, 4)} for name, p in answers]
    rows: list[dict[str, Any]] = [{"value": _flat(value)} for value in answers.values.tolist()]
    if answers.deviations is not None:
        rows = [row | {"deviation": _flat(d)} for row, d in zip(rows, answers.deviations.tolist(), strict=True)]
    return rows


def _flat(numbers: list[float]) -> Any:
    return numbers[0] if len(numbers) == 1 else numbers


def _strange(rows: list[dict[str, Any]], envelope: Envelope) -> list[str]:
    """What to say of labels that no answer can be."""
    if envelope.kind == "regression":
        return []
    found = sorted({row["label"] for row in rows if row.get("label") is not None} - set(envelope.classes))
    return [f"'{name}' was not learned: queries of it cannot be answered right" for name in found]


def _judge(rows: list[dict[str, Any]], labels: np.ndarray) -> dict[str, Any]:
    """Puts the labels beside the answers, and says how good these are: a 95 % interval over the queries."""
    known = labels != "" if labels.dtype.kind == "O" else ~np.isnan(labels)
    for row, label, there in zip(rows, labels.tolist(), known.tolist(), strict=True):
        row["label"] = label if there else None
    some = [row for row, there in zip(rows, known.tolist(), strict=True) if there]
    n = len(some)
    if "value" in rows[0]:
        error, half = mean_interval([(row["value"] - row["label"]) ** 2 for row in some])
        shown = rounded(error, half)
        sentence = f"mse {shown[0]} ± {shown[1]} (95% over {n:,} queries)"
        return {"mse": error, "ci95": half if math.isfinite(half) else None, "queries": n, "sentence": sentence}
    right = sum(row["answer"] == row["label"] for row in some)
    low, high = wilson(right, n)
    span = f"95% interval {low:.0f} to {high:.0f}%"
    sentence = f"accuracy {100 * right / n:.1f}%: {right:,} of {n:,} queries ({span})"
    return {"accuracy": 100 * right / n, "low": low, "high": high, "queries": n, "sentence": sentence}


def _shown(value: Any, key: str) -> str:
    if value is None:
        return ""
    if key == "confidence":
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))
    return escape(text if len(text) <= WIDE else f"{text[: WIDE - 3]}...")
