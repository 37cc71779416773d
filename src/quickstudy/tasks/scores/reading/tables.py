"""Score tables from files: a row for each trial, or a row for each data set."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....errors import BadExamples, BadFile
from ...cells.names import names_of
from ...cells.numbers import numbers_of
from ...cells.table import Table, load
from ..candidates import Candidates
from ..table import ScoreTable
from .columns import matrix


def read_trials(
    path: str | Path,
    *,
    dataset: str = "dataset",
    score: str = "score",
    candidate: str | None = None,
    budget: str | None = None,
    cost: str | None = None,
    group: str | None = None,
    maximise: bool = True,
) -> ScoreTable:
    """A CSV or Parquet file with a row for each trial; the trials of one cell are averaged.

    Args:
        path: of the file.
        dataset: the column that names data sets.
        score: the column of scores; an empty cell is a trial that failed.
        candidate: the column that names what was tried; None where all other columns are its settings, an empty cell
            being a setting that it does not have.
        budget: the column of epochs, rows or the like.
        cost: the column of seconds.
        group: the column that names groups of data sets.
        maximise: False for errors and losses.

    Raises:
        BadFile, MissingData, UnknownName: as `load`.
        BadExamples: an empty name, a data set in two groups, or no column left for settings.
    """
    named = [name for name in (dataset, score, candidate, budget, cost, group) if name is not None]
    table = load(path, named, only=candidate is not None)
    numbers = {name: numbers_of(table.data[name], table.decimal)[0] for name in (score, budget, cost) if name}
    datasets = _names(table, dataset)
    tried: list[Any] = _names(table, candidate) if candidate is not None else _settings(table, named)
    made = ScoreTable.of_trials(
        datasets,
        tried,
        numbers[score].tolist(),
        budgets=None if budget is None else numbers[budget].tolist(),
        cost=None if cost is None else numbers[cost].tolist(),
        maximise=maximise,
    )
    if group is None:
        return made
    pairs = set(zip(datasets, _names(table, group), strict=True))
    of = dict(pairs)
    if len(of) < len(pairs):
        twice = next(name for name in of if sum(name == other for other, _ in pairs) > 1)
        raise BadExamples(f"The data set '{twice}' is in two groups; a data set has one.")
    return dataclasses.replace(made, groups=tuple(of[name] for name in made.datasets))


def read_matrix(path: str | Path, *, cost: str | Path | None = None, maximise: bool = True) -> ScoreTable:
    """A CSV file with a row for each data set and a column for each candidate, their names first; gzip is read too.

    Args:
        path: of the scores; an empty cell is a candidate that was not tried.
        cost: of seconds, in the same rows and columns.
        maximise: False for errors and losses.

    Raises:
        BadFile: a damaged file, or costs of other rows or columns.
        BadExamples: an empty table, or one that names something twice.
    """
    candidates, datasets, scores = matrix(Path(path))
    seconds = None
    if cost is not None:
        other, rows, values = matrix(Path(cost))
        if other != candidates or rows != datasets:
            raise BadFile(f"{cost} has other rows or columns than {path}; name the same data sets and candidates.")
        seconds = torch.from_numpy(values).unsqueeze(-1)
    if not scores.size:
        raise BadExamples(f"{path} has {len(datasets)} data sets and {len(candidates)} candidates; it needs some.")
    made = torch.from_numpy(scores).unsqueeze(-1)
    return ScoreTable(tuple(datasets), Candidates.named(candidates), made, seconds, maximise=maximise)


def _names(table: Table, column: str) -> list[str]:
    names, empty = names_of(table.data[column], column)
    if empty.any():
        raise BadExamples(f"{table.row(int(np.argmax(empty)))} has no '{column}'; every trial needs one.")
    return [str(name) for name in names]


def _settings(table: Table, named: list[str]) -> list[dict[str, Any]]:
    """The configuration of each row."""
    configurations: list[dict[str, Any]] = [{} for _ in range(len(table.data))]
    columns = [name for name in table.data.column_names if name not in named]
    if not columns:
        raise BadExamples(f"'{table.name}' has no column but {', '.join(named)}; say which one names the candidates.")
    for name in columns:
        values, empty, words = numbers_of(table.data[name], table.decimal)
        if words.any():
            cells: list[Any] = names_of(table.data[name], name)[0].tolist()
        else:
            whole = bool((values[~empty] % 1 == 0).all())
            cells = [value if math.isnan(value) or not whole else int(value) for value in values.tolist()]
        for configuration, cell, gone in zip(configurations, cells, empty.tolist(), strict=True):
            if not gone:
                configuration[name] = cell
    return configurations
