"""`quickstudy adapt` and `predict`: a new task from a few examples, and answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..bundle import load_bundle
from ..state import load_state, save_state
from ..tasks.images import read_queries, read_support
from .output import as_json, emit, table


@click.command("adapt")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("support", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="The state file to write.")
@as_json
def adapt_command(bundle: Path, support: Path, out: Path, as_json: bool) -> None:
    """Learn a new task from SUPPORT, a folder with a folder of images for each class.

    \b
    quickstudy adapt study/bundle study/next-task/support --out next-task.state
    """
    loaded = load_bundle(bundle)
    x, labels = read_support(support, loaded.feature)
    state, envelope = loaded.adapt(x, labels)
    save_state(state, out, envelope)
    classes = list(envelope.classes)
    plain = {"state": str(out), "classes": classes, "examples": len(x), "bytes": out.stat().st_size}
    emit(plain, f"Learned {len(classes)} classes from {len(x)} examples: {out} ({out.stat().st_size:,} bytes)", as_json)


@click.command("predict")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("state", type=click.Path(path_type=Path))
@click.argument("queries", type=click.Path(path_type=Path))
@as_json
def predict_command(bundle: Path, state: Path, queries: Path, as_json: bool) -> None:
    """Answer QUERIES (an image or a folder of images) with a STATE that `adapt` made.

    \b
    quickstudy predict study/bundle next-task.state study/next-task/queries
    """
    loaded = load_bundle(bundle)
    learned: Any
    learned, envelope = load_state(state, loaded.learner.State)
    x, names = read_queries(queries, loaded.feature)
    answers = loaded.predict(learned, envelope, x)
    rows = [
        {"query": name, "answer": a, "confidence": round(c, 4)} for name, (a, c) in zip(names, answers, strict=True)
    ]
    if as_json:
        emit(rows, "", True)
    else:
        table(["query", "answer", "confidence"], [[r["query"], r["answer"], f"{r['confidence']:.1%}"] for r in rows])
