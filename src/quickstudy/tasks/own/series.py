"""Series in a long table: one row for each point of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import BadExamples
from ..cells.names import columns_in, joined, numbered
from ..cells.numbers import numbers_of
from ..cells.table import Table, load
from ..checked.findings import kind_of, settled
from .rows import SHOWN, Dropped, Rows
from .tables import label_numbers, labelled

GAP = 1.5  # usual steps from which on a step is a gap


def read_series(
    path: str | Path,
    *,
    task: str | Sequence[str] | None,
    label: str,
    id: str,
    time: str,
    values: Sequence[str] | None = None,
    group: str | None = None,
    kind: str | None = None,
) -> Rows:
    """The series of a CSV or Parquet file with a row for each point of time; they may differ in length.

    Args:
        path: of the file.
        task: the column that says which task a series belongs to, or several that say so together; None: tasks are
            drawn from the classes.
        label: the column to predict, the same in all rows of a series.
        id: the column that says which series a row belongs to; the same id in two tasks is two series.
        time: a number or a date, by which rows are sorted.
        values: the columns to predict from; None: all that hold numbers.
        group: the column whose series never stand on two sides of a split.
        kind: 'classification' or 'regression'; without it a number with many different values is a regression.

    Returns:
        Rows whose inputs are (length, channels) float32 arrays, NaN where a value is missing.

    Raises:
        UnknownName, BadFile, BadExamples, NotEnoughExamples, MissingData, UserError: as `read_table`.
    """
    homes, asked = columns_in(task), columns_in(values)
    roles = [column for column in (label, id, *homes, group) if column is not None]
    table = load(path, [*roles, time, *asked], only=values is not None)
    table, dropped, named = labelled(table, roles)
    when, _, _ = numbers_of(table.data[time], table.decimal)
    if np.isnan(when).all():
        raise BadExamples(f"The column '{time}' holds no number and no date (2024-12-31 10:00) to sort rows by.")
    channels, odd = channels_of(
        table, asked or [c for c in table.data.column_names if c not in (*roles, time)], not asked
    )
    tasks = joined([named[column] for column in homes]) if homes else None
    names, series = _called(named[id], tasks)
    order, left, notes = in_order(table, series, when, names)
    dropped += [*left, *odd]
    starts = np.flatnonzero(np.diff(series[order], prepend=-1))
    rows = order[starts]  # the first of each
    numbers, odd_labels = label_numbers(table, label, kind)
    found, note = kind_of(named[label][rows], None if numbers is None else numbers[rows], kind, tasks is not None)
    several = _several(named[label][order], starts)
    stacked = np.stack(list(channels.values()), 1).astype(np.float32)[order]
    missing = int(np.isnan(stacked).sum())
    if missing:
        notes.append(f"{missing:,} of {stacked.size:,} values are missing, and stay so")
    made = Rows(
        name=table.name,
        modality="series",
        inputs=np.split(stacked, starts[1:]),
        labels=named[label][rows] if numbers is None or found == "classification" else numbers[rows],
        kind=found,
        tasks=None if tasks is None else tasks[rows],
        dropped=tuple(dropped),
        notes=(*table.notes, f"channels: {', '.join(channels)}", note, *odd_labels, *notes),
        groups=None if group is None else named[group][rows],
    )
    which = [names[series[rows[i]]] for i in np.flatnonzero(several)[:SHOWN]]
    return settled(made.without(several, "series with more than one label", which))


def _called(ids: np.ndarray, tasks: np.ndarray | None) -> tuple[list[str], np.ndarray]:
    """The names of the series, TASK/ID where there are tasks, and the number of each row's."""
    names, series = numbered(ids)
    if tasks is None:
        return list(names), series
    homes, home = numbered(tasks)
    pairs, series = np.unique(home * len(names) + series, return_inverse=True)
    return [f"{homes[pair // len(names)]}/{names[pair % len(names)]}" for pair in pairs.tolist()], series


def channels_of(table: Table, columns: Sequence[str], any_: bool) -> tuple[dict[str, np.ndarray], list[Dropped]]:
    """The columns that hold numbers; where they were asked for, all must."""
    channels, odd = {}, []
    for name in columns:
        numbers, empty, words = numbers_of(table.data[name], table.decimal)
        if words.any() or empty.all():
            row = int(np.argmax(words if words.any() else empty))
            cell = table.data[name][row].as_py()
            if not any_:
                raise BadExamples(
                    f"'{name}' is to be a channel, but {table.row(row)} holds '{cell}', which is no number."
                )
            odd.append(name)
        else:
            channels[name] = numbers
    if not channels:
        raise BadExamples(f"No column of '{table.name}' is left for values; looked at: {', '.join(columns) or 'none'}.")
    return channels, [Dropped.of("columns that hold words, or nothing", odd)] if odd else []


def in_order(
    table: Table, series: np.ndarray, when: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, list[Dropped], list[str]]:
    """The rows by series and time, without those that have no time or one that is taken; what to say of gaps."""
    dropped, notes = [], []
    order = np.lexsort((when, series))  # stable: of two rows at one time the first in the file stays
    timeless = np.isnan(when[order])
    if timeless.any():
        some = tuple(map(table.row, np.sort(order[timeless])[:SHOWN]))
        dropped.append(Dropped("rows without a time", int(timeless.sum()), some))
        order = order[~timeless]
    same = np.diff(series[order], prepend=-1) == 0
    step = np.diff(when[order], prepend=np.nan)
    twice = same & (step == 0)
    if twice.any():
        listed = [f"{names[series[i]]} at {when[i]:g}" for i in order[twice][:SHOWN]]
        dropped.append(Dropped("rows at a time that their series has already", int(twice.sum()), tuple(listed)))
    order, steps = order[~twice], step[same & ~twice]
    if len(steps):
        usual = float(np.median(steps))
        gaps = steps > GAP * usual
        if gaps.any():
            where = order[np.flatnonzero(same[~twice])[int(steps.argmax())]]
            notes.append(
                f"{gaps.sum():,} steps of time are longer than {GAP:g} times the usual {usual:g}; the longest,"
                f" {steps.max():g}, is in '{names[series[where]]}'. Series are not resampled"
            )
    return order, dropped, notes


def _several(labels: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(series,) True where a series has more than one label."""
    changes = np.zeros(len(labels), dtype=bool)
    changes[1:] = labels[1:] != labels[:-1]
    changes[starts] = False
    return np.logical_or.reduceat(changes, starts)
