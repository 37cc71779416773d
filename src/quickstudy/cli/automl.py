"""`quickstudy automl`: a predictor for a table within a time limit, and answers by it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..errors import BadFile, UserError
from ..storage import cache_folder, write_atomically
from ..tasks.cells.features import features_of
from ..tasks.cells.names import texts_of
from ..tasks.cells.numbers import numbers_of
from ..tasks.cells.table import load
from ..tasks.checked.findings import kind_of
from ..tasks.own.rows import Columns, Dropped, Rows
from ..tasks.own.tables import label_numbers, labelled
from ..version import __version__
from .output import Bar, as_json, console, emit, table

RESULTS, PREDICTOR = "results.json", "predictor.skops"
FIGURES = ("score", "spread", "seconds", "share")
SHOWN = 12  # rows of the leaderboard


@click.command("automl")
@click.argument("path", metavar="TABLE", type=click.Path(path_type=Path))
@click.option("--label", metavar="COLUMN", help="Column to predict.")
@click.option("--kind", type=click.Choice(["classification", "regression"]), help="What the label is, if not as found.")
@click.option("--group", metavar="COLUMN", help="Column whose rows are held out together: a patient, a site.")
@click.option("--time", "seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="For it all.")
@click.option("--trials", type=click.IntRange(min=1), help="Pipelines at most.")
@click.option("--scoring", help="What is best: accuracy, balanced_accuracy, d2_log_loss; r2, d2_absolute_error.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Of the cross-validation.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Pipelines at once, a core each."
)
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), help="Where trials of all tables are kept.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, file_okay=False), default=Path("automl"), show_default=True
)
@click.option("--use", type=click.Path(path_type=Path, file_okay=False), help="Answer TABLE by what is in this folder.")
@as_json
def automl_command(path: Path, label: str | None, use: Path | None, out: Path, as_json: bool, **options: Any) -> None:
    """Find, combine and fit pipelines for TABLE (CSV or Parquet) within a time limit, and leave a folder.

    In the folder: predictor.skops, which answers other tables (nothing in it is executed when it is read), and
    results.json with the score on held-out rows and all that was tried. Trials are also kept in a store that all runs
    share, so that one that was stopped goes on, and the next table profits from this one.

    \b
    quickstudy automl houses.csv --label price --time 120
    quickstudy automl new-houses.csv --use automl
    """
    if use is not None:
        _answer(path, use, as_json)
    elif label is None:
        raise UserError("Name the column to predict by --label, or a folder that answers by --use.")
    else:
        _fit(path, label, out, options, as_json)


def _fit(path: Path, label: str, out: Path, options: dict[str, Any], wants_json: bool) -> None:
    from ..estimators.automl.auto import AutoClassifier, AutoRegressor

    where = console(wants_json)
    rows = _read(path, label, options["kind"], options["group"])
    for line in (
        f"{rows.name}: {len(rows):,} rows of {len(rows.inputs.names)} columns",
        *rows.notes,
        *map(_left, rows.dropped),
    ):
        where.print(line, highlight=False, markup=False, soft_wrap=True)
    make = AutoClassifier if rows.kind == "classification" else AutoRegressor
    with Bar(where, 1.0, "automl") as bar:
        made = make(
            options["seconds"],
            **{name: options[name] for name in ("trials", "scoring", "folds", "jobs", "seed")},
            store=options["store"] or cache_folder() / "automl",
            tell=lambda p: bar.update(min(p.done, 1.0), f"{p.trials} pipelines, best {p.best:.4f}"),
        ).fit(_cells(rows.inputs), rows.labels, groups=rows.groups)
    columns = {"numeric": rows.inputs.numeric_names, "categorical": rows.inputs.categorical_names}
    n = len(rows)
    line = (
        f"{made.metric_} {made.score_:.4f} on held-out rows ({made.folds} folds of {n:,} rows;"
        f" {len(made.members_)} of {len(made.leaderboard())} pipelines combined)"
    )
    plain = {
        "sentence": line,
        "metric": made.metric_,
        "score": made.score_,
        "rows": n,
        "folds": made.folds,
        "label": label,
        "kind": rows.kind,
        "columns": columns,
        "left_out": [dataclasses.asdict(dropped) for dropped in rows.dropped],
        "leaderboard": [{key: _plain(value) for key, value in row.items()} for row in made.leaderboard()],
        "version": __version__,
    }
    made.save(out / PREDICTOR)
    write_atomically(out / RESULTS, (json.dumps(plain, indent=1, default=str) + "\n").encode())
    if wants_json:
        emit(plain, "", True)
        return
    table(
        ["family", *FIGURES, "note"],
        [
            [row["family"], *(_number(row[k]) for k in ("score", "spread", "seconds", "share")), row["note"]]
            for row in made.leaderboard()[:SHOWN]
        ],
    )
    click.echo(f"\n{line}\nfolder: {out}\n\nGo on with:\n  quickstudy automl OTHER.csv --use {out}")


def _read(path: Path, label: str, kind: str | None, group: str | None) -> Rows:
    """A table as one task, of classes or of numbers."""
    if group == label:
        raise UserError(f"'{label}' is named as label and as group; these are different columns.")
    named = [label] if group is None else [label, group]
    read = load(path, named, only=False)
    kept, dropped, names = labelled(read, named)
    numbers, odd = label_numbers(kept, label, kind)
    found, note = kind_of(names[label], numbers, kind, True)
    columns, left, notes = features_of(kept.data.drop_columns(named), kept.decimal, len(read.data) - len(kept.data))
    return Rows(
        name=read.name,
        modality="features",
        inputs=columns,
        labels=names[label] if numbers is None or found == "classification" else numbers,
        kind=found,
        tasks=None,
        dropped=(*dropped, *left),
        notes=(*read.notes, note, *odd, *notes),
        groups=None if group is None else names[group],
    )


def _answer(path: Path, folder: Path, wants_json: bool) -> None:
    from ..estimators.automl.saving import load_auto

    try:
        about = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        numeric, categorical = about["columns"]["numeric"], about["columns"]["categorical"]
    except (OSError, ValueError, KeyError) as error:
        raise BadFile(f"{folder} is no folder that `quickstudy automl` left ({error!r}).") from error
    model = load_auto(folder / PREDICTOR)
    read = load(path, [*numeric, *categorical], only=True)
    cells = [numbers_of(read.data[name], read.decimal)[0].astype(object) for name in numeric]
    cells += [np.array(texts_of(read.data[name], name).to_pylist(), dtype=object) for name in categorical]
    x = np.array(cells, dtype=object).T
    answers = model.predict(x).tolist()
    rows: list[dict[str, Any]] = [{"row": i + 1, about["label"]: answer} for i, answer in enumerate(answers)]
    if about["kind"] == "classification":
        for row, sure in zip(rows, model.predict_proba(x).max(1).tolist(), strict=True):
            row["confidence"] = round(sure, 4)
    if wants_json:
        emit(rows, "", True)
        return
    table(list(rows[0]), [[_number(value) for value in row.values()] for row in rows])


def _cells(columns: Columns) -> np.ndarray:
    """(n, columns) objects: numbers, words, and None where a value is missing."""
    words = [
        np.array([*names, None], dtype=object)[codes]
        for names, codes in zip(columns.categories, columns.categorical.T, strict=True)
    ]
    return np.array([*columns.numeric.T.astype(object), *words], dtype=object).T


def _left(dropped: Dropped) -> str:
    some = f" ({', '.join(dropped.examples)})" if dropped.examples else ""
    return f"left out {dropped.count:,}: {dropped.reason}{some}"


def _plain(value: Any) -> Any:
    """None for what JSON has no number for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
