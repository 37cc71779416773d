"""Scenarios of algorithm selection in the format of ASlib (Bischl et al. 2016, arXiv:1506.02465)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....errors import BadFile, MissingData, UnknownName
from ....extras import brought_in
from ...datasets.named import data_folder
from .columns import columns, number
from .scenario import Scenario


def read_aslib(folder: str | Path, *, steps: Sequence[str] | None = None) -> Scenario:
    """A scenario from its folder: ASlib's own files (ARFF and description.txt), or the same as CSV and meta.json.

    Repeated runs are averaged, and the first of several official cross-validations is taken.

    Args:
        folder: of one scenario.
        steps: the groups of features to compute and pay for; by default those that the scenario names.

    Raises:
        BadFile: a file is missing or damaged; the message names it.
        UnknownName: a step that the scenario does not have.
        UserError: the description is YAML, and PyYAML is not installed.
    """
    folder = Path(folder)
    about = _description(folder)
    performance, status = _runs(folder, about["measure"])
    instances, algorithms = tuple(performance), tuple(next(iter(performance.values())))
    measured = np.array([[performance[i].get(a, np.nan) for a in algorithms] for i in instances])
    ended = np.array([[status[i].get(a, "") == "ok" for a in algorithms] for i in instances])
    names, step_names = _chosen(about, steps)
    values = _file(folder, "features", "feature_values")
    feature_names = [n for n in values if n not in ("instance_id", "repetition") and (not names or n in names)]
    costs = _file(folder, "feature_costs", "feature_costs", needed=False)
    cost = np.nansum(_by_instance(costs, [n for n in step_names if n in costs], instances), 1)
    folds = _file(folder, "cv", "cv")
    fold = dict(reversed(list(zip(folds["instance_id"], map(float, folds["fold"]), strict=True))))
    cutoff = about["cutoff"] if about["runtime"] else None
    if lacking := [i for i in instances if i not in fold]:
        raise BadFile(f"{folder} has no official fold for {len(lacking)} instances, such as '{lacking[0]}'.")
    return Scenario(
        folder.name,
        instances,
        algorithms,
        torch.from_numpy(measured),
        torch.from_numpy(ended & (measured <= (np.inf if cutoff is None else cutoff))),
        torch.from_numpy(_by_instance(values, feature_names, instances)),
        tuple(feature_names),
        torch.from_numpy(cost),
        torch.tensor([int(fold[i]) for i in instances]),
        cutoff,
        about["maximise"],
        {step: tuple(said.get("provides", ())) for step, said in about["steps"].items()},
    )


def scenario(name: str, *, steps: Sequence[str] | None = None) -> Scenario:
    """One of the scenarios in the folder automl/aslib of the user's data sets.

    Raises:
        MissingData: there is no such folder; the message says where scenarios come from.
        UnknownName: it holds no scenario of this name.
    """
    if name not in (known := scenarios()):
        raise UnknownName.among("scenario", name, known)
    return read_aslib(_home() / name, steps=steps)


def scenarios() -> tuple[str, ...]:
    """The names of the scenarios that the user has."""
    return tuple(sorted(path.name for path in _home().iterdir() if path.is_dir()))


def _home() -> Path:
    own = data_folder()
    if own is None or not (own / "automl" / "aslib").is_dir():
        raise MissingData(
            "The scenarios of ASlib (licence: GPLv3) have to be brought: take their folders from"
            " github.com/coseal/aslib_data into automl/aslib, in the folder that QUICKSTUDY_DATA names."
        )
    return own / "automl" / "aslib"


def _description(folder: Path) -> dict[str, Any]:
    """measure, runtime, maximise, cutoff, steps and default_steps, whichever file says so."""
    converted, official = folder / "meta.json", folder / "description.txt"
    if converted.is_file():
        said = json.loads(converted.read_text(encoding="utf-8"))
        measure, kind, maximise = said["measure"], said["performance_type"], said["maximize"]
        cutoff = said["cutoff"]
    elif official.is_file():
        said = _yaml(official)
        measure, kind, maximise = (
            value[0] if isinstance(value, list) else value
            for value in (said["performance_measures"], said["performance_type"], said["maximize"])
        )
        cutoff = said.get("algorithm_cutoff_time")
    else:
        raise BadFile(f"{folder} holds neither description.txt nor meta.json; give the folder of one ASlib scenario.")
    defaults = said.get("default_steps") or list(said.get("feature_steps") or {})
    defaults = [s.strip() for s in defaults.split(",")] if isinstance(defaults, str) else defaults
    return {
        "measure": measure,
        "runtime": kind == "runtime",
        "maximise": str(maximise).lower() == "true",
        "cutoff": number(str(cutoff)),
        "steps": said.get("feature_steps") or {},
        "default_steps": defaults,
    }


def _yaml(path: Path) -> dict[str, Any]:
    yaml = brought_in("yaml", f"Reading {path}", "automl")
    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise BadFile(f"{path} is not the description of an ASlib scenario: {error}") from error


def _runs(folder: Path, measure: str) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
    """Performance (mean over repetitions) and status (the worst one), by instance and algorithm."""
    if (folder / "algorithm_runs.arff").is_file():
        runs = _file(folder, "", "algorithm_runs")
        if measure not in runs:
            raise BadFile(f"{folder / 'algorithm_runs.arff'} has no column '{measure}', which its description names.")
        cells = list(zip(runs["instance_id"], runs["algorithm"], runs[measure], runs["runstatus"], strict=True))
    else:
        wide, status = _file(folder, "performance", "algorithm_runs"), _file(folder, "runstatus", "algorithm_runs")
        place = {name: i for i, name in enumerate(status["instance_id"])}
        cells = [
            (instance, algorithm, values[i], status[algorithm][place[instance]])
            for i, instance in enumerate(wide["instance_id"])
            for algorithm, values in wide.items()
            if algorithm != "instance_id"
        ]
    sums: dict[str, dict[str, list[float]]] = {}
    ended: dict[str, dict[str, str]] = {}
    for instance, algorithm, value, state in cells:
        sums.setdefault(instance, {}).setdefault(algorithm, []).append(number(value))
        before = ended.setdefault(instance, {}).get(algorithm, "ok")
        ended[instance][algorithm] = state.lower() if before == "ok" else before
    return {i: {a: float(np.mean(v)) for a, v in row.items()} for i, row in sums.items()}, ended


def _chosen(about: Mapping[str, Any], steps: Sequence[str] | None) -> tuple[set[str], list[str]]:
    """The features that the chosen steps provide (none where the scenario does not say), and these steps."""
    chosen = list(about["default_steps"] if steps is None else steps)
    for step in chosen:
        if step not in about["steps"]:
            raise UnknownName.among("feature step", step, about["steps"])
    return {name for step in chosen for name in about["steps"][step].get("provides", ())}, chosen


def _by_instance(columns: Mapping[str, list[str]], names: Sequence[str], instances: Sequence[str]) -> np.ndarray:
    """(I, names) numbers, those of repetitions averaged; NaN where there is no row."""
    rows = {instance: i for i, instance in enumerate(instances)}
    kept = [i for i, instance in enumerate(columns.get("instance_id", ())) if instance in rows]
    place = np.array([rows[columns["instance_id"][i]] for i in kept], dtype=np.int64)
    cells = np.array([[number(columns[name][i]) for name in names] for i in kept]).reshape(len(kept), len(names))
    total, count = np.zeros((len(rows), len(names))), np.bincount(place, minlength=len(rows))[:, None]
    np.add.at(total, place, cells)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _file(folder: Path, converted: str, official: str, *, needed: bool = True) -> dict[str, list[str]]:
    """The columns of a part of the scenario, in whichever form it is there."""
    names = [f"{official}.arff", f"{converted}.csv.gz", f"{converted}.csv"]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None and needed:
        raise BadFile(f"{folder} lacks {' or '.join(names)}, so it is no whole ASlib scenario.")
    return {} if path is None else columns(path)
