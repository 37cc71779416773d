"""`quickstudy select`: what to try on a new data set, from a table of what was good on past ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ..errors import UserError
from ..estimators.advisor import LEARNER, NORMAL, Advisor
from ..tasks.cells.table import column_names
from ..tasks.scores.candidates import name_of
from ..tasks.scores.reading.tables import read_matrix, read_trials
from ..tasks.scores.table import ScoreTable
from .output import as_json, emit, table


def names_scores(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say how a table of scores is to be read."""
    helps = {
        "dataset": "Column that names the data set of a trial.",
        "score": "Column of scores.",
        "candidate": "Column that names what was tried; without it all other columns are its settings.",
        "budget": "Column of epochs, rows or the like.",
        "cost": "Column of seconds.",
    }
    for name, words in helps.items():
        default = name if name in ("dataset", "score") else None
        option = click.option(
            f"--{name}", metavar="COLUMN", default=default, show_default=default is not None, help=words
        )
        command = option(command)
    return click.option("--minimise", is_flag=True, help="Lower scores are better: errors, losses, seconds.")(command)


def read_past(tables: Sequence[Path], *, minimise: bool, dataset: str, score: str, **columns: str | None) -> ScoreTable:
    """All tables as one: files with a row for each trial, and others with a row for each data set."""
    read = []
    for path in tables:
        names = column_names(path)
        if dataset in names and score in names:
            read.append(read_trials(path, dataset=dataset, score=score, maximise=not minimise, **columns))
        else:
            read.append(read_matrix(path, maximise=not minimise))
    return reduce(ScoreTable.joined, read)


@click.command("select")
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--for", "dataset_now", metavar="NAME", help="The new data set, if some of its trials are in a table too."
)
@click.option("--count", "-k", type=click.IntRange(min=1), default=5, show_default=True, help="How many to recommend.")
@click.option("--learner", default=LEARNER, show_default=True, help="Of selection; see `quickstudy list learners`.")
@names_scores
@as_json
def select_command(
    tables: tuple[Path, ...], dataset_now: str | None, count: int, learner: str, as_json: bool, **columns: Any
) -> None:
    """Recommend what to try on a new data set, from TABLES of what was good on past ones.

    A table is a CSV or Parquet file: a row for each trial, with columns `dataset`, `score` and the settings that were
    tried; or a row for each data set, its name first, and a column for each candidate.

    \b
    quickstudy select past-runs.csv
    quickstudy select past-runs.csv --for new-shop -k 3
    quickstudy select errors.csv --minimise
    """
    past = read_past(tables, **columns)
    tried: list[tuple[dict[str, Any], float]] = []
    if dataset_now is not None:
        past, tried = _parted(past, dataset_now)
    advisor = Advisor(past, learner).after(tried)
    found = advisor.recommend(count)
    if not found:
        raise UserError(f"All {len(past.candidates)} candidates have been tried on '{dataset_now}'.")
    answers = advisor.predict(found)
    sign = -1.0 if columns["minimise"] else 1.0
    rows = []
    for configuration, mean, variance in zip(found, answers.mean, answers.variance, strict=True):
        ends = sorted(sign * (mean.item() + side * NORMAL * variance.item() ** 0.5) for side in (-1, 1))
        rows.append({"candidate": configuration, "expected": sign * mean.item(), "low": ends[0], "high": ends[1]})
    known = f"{len(past)} past data sets, {len(past.candidates)} candidates, {len(tried)} tried here"
    if as_json:
        emit({"recommended": rows, "past": known, "explanation": advisor.explain()}, "", True)
        return
    shown = [
        [str(i + 1), _short(row["candidate"]), f"{row['expected']:.4g}", f"{row['low']:.4g} to {row['high']:.4g}"]
        for i, row in enumerate(rows)
    ]
    table(["", "try", "expected", "90%"], shown)
    click.echo(f"\n{known}\n{advisor.explain()}")


def _parted(past: ScoreTable, name: str) -> tuple[ScoreTable, list[tuple[dict[str, Any], float]]]:
    """The table without a data set, and what was tried on that."""
    here = past.index(name)
    if len(past) < 2:
        raise UserError(f"'{name}' is the only data set of the table; past ones are needed to learn from.")
    scores = past.final[here]
    candidates = past.candidates
    configurations = candidates.configurations or tuple({"candidate": name} for name in candidates.names)
    known = scores.isfinite().nonzero().flatten().tolist()
    return past.without(here), [(dict(configurations[i]), scores[i].item()) for i in known]


def _short(configuration: dict[str, Any]) -> str:
    return str(configuration["candidate"]) if configuration.keys() == {"candidate"} else name_of(configuration)
