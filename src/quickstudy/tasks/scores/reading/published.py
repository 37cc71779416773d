"""Tables that papers published, each read from the files that `named.py` lists."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...datasets.brought import read_columns
from ...datasets.download import read_arrays
from ..candidates import Candidates
from ..table import ScoreTable
from .columns import matrix


def svm_tst(path: Path) -> ScoreTable:
    data = read_arrays(path, "accuracy", "configs", "metafeatures", "datasets")
    kernels, scaled = ("rbf", "poly", "linear"), ("C_scaled", "gamma_scaled", "degree_scaled")
    used = {"rbf": (0, 1), "poly": (0, 2), "linear": (0,)}
    configurations: list[dict[str, Any]] = []
    for row in data["configs"].tolist():
        kernel = kernels[row.index(1.0)]
        configurations.append({"kernel": kernel} | {scaled[i]: row[3 + i] for i in used[kernel]})
    return ScoreTable(
        tuple(data["datasets"].tolist()),
        Candidates.of(configurations),
        _full(data["accuracy"]),
        features=_full(data["metafeatures"])[..., 0],
        feature_names=tuple(f"feature {i + 1}" for i in range(data["metafeatures"].shape[1])),
    )


def oboe(errors: Path, times: Path, sizes: Path) -> ScoreTable:
    header, numbers, values = matrix(errors)
    _, _, seconds = matrix(times)
    _, ids, size = matrix(sizes)
    made = [ast.literal_eval(text) for text in header]
    configurations = [
        {"algorithm": m["algorithm"]} | {f"{m['algorithm']}:{name}": v for name, v in m["hyperparameters"].items()}
        for m in made
    ]
    order = [ids.index(number.lstrip("0")) for number in numbers]
    return ScoreTable(
        tuple(number.lstrip("0") for number in numbers),
        Candidates.of(configurations),
        _full(values),
        _full(seconds),
        features=torch.from_numpy(np.log(size[order])),
        feature_names=("log rows", "log columns"),
        maximise=False,
    )


def hpobench_mlp(path: Path, space: Path) -> ScoreTable:
    configurations, datasets, scores, seconds = _coded(path, space)
    return ScoreTable(datasets, Candidates.of(configurations), scores, seconds)


def nasbench201(path: Path, space: Path) -> ScoreTable:
    configurations, datasets, scores, seconds = _coded(path, space)
    candidates = Candidates.of(configurations)
    cells = ("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*c.values()) for c in configurations)
    candidates = Candidates(tuple(cells), candidates.encoding, candidates.configurations, candidates.space)
    return ScoreTable(datasets, candidates, scores, seconds)


def yahpo_lcbench(path: Path) -> ScoreTable:
    data = read_arrays(path, "val_accuracy", "time", "configs", "config_names", "tasks", "epochs")
    names = data["config_names"].tolist()
    whole = (data["configs"] % 1 == 0).all(0).tolist()
    configurations = [
        {name: int(v) if w else v for name, v, w in zip(names, row, whole, strict=True)}
        for row in data["configs"].tolist()
    ]
    return ScoreTable(
        tuple(data["tasks"].tolist()),
        Candidates.of(configurations),
        torch.from_numpy(data["val_accuracy"].astype(np.float64)),
        torch.from_numpy(data["time"].astype(np.float64)),
        tuple(map(float, data["epochs"])),
    )


def lcdb(curves: Path, qualities: Path) -> ScoreTable:
    """Budgets are shares of a data set's rows, the nearest of 1, 1/sqrt(2), 1/2 and so on to the 16 rows at least."""
    columns = read_columns(curves, "openmlid", "learner", "size_train", "score_valid", "traintime")
    dataset, d = np.unique(columns["openmlid"], return_inverse=True)
    learner, c = np.unique(columns["learner"], return_inverse=True)
    rows = np.array(columns["size_train"], dtype=np.float64)
    most = np.zeros(len(dataset))
    np.maximum.at(most, d, rows)
    step = np.rint(2 * np.log2(most[d] / rows)).astype(np.int64)
    kept = (step > 0) | (rows == most[d])  # what is nearer to all rows than to the next share gives way to all
    shape = (len(dataset), len(learner), int(step.max()) + 1)
    scores, seconds = np.full(shape, np.nan), np.full(shape, np.nan)
    at = (d[kept], c[kept], shape[2] - 1 - step[kept])
    scores[at], seconds[at] = np.array(columns["score_valid"])[kept], np.array(columns["traintime"])[kept]
    header, ids, values = matrix(qualities)
    features = np.full((len(dataset), len(header) - 1), np.nan)
    for i, number in enumerate(dataset.tolist()):
        if str(number) in ids:
            features[i] = values[ids.index(str(number)), 1:]  # the first is a name
    names = tuple(name.split(".")[-1] for name in learner.tolist())
    return ScoreTable(
        tuple(map(str, dataset.tolist())),
        Candidates.named(names),
        torch.from_numpy(scores),
        torch.from_numpy(seconds),
        tuple(2.0 ** (-k / 2) for k in reversed(range(shape[2]))),
        torch.from_numpy(features),
        tuple(header[1:]),
    )


def _coded(path: Path, space: Path) -> tuple[list[dict[str, Any]], tuple[str, ...], Tensor, Tensor]:
    """Configurations, data sets, and means over seeds of accuracy and seconds, of a table of numbered values."""
    about = json.loads(space.read_text(encoding="utf-8"))
    names, datasets = about["params"], tuple(about["datasets"])
    data = read_arrays(path, "codes", *(f"{d}__{what}" for d in datasets for what in ("val_acc", "train_time")))
    values = [about["values"][name] for name in names]
    rows = data["codes"].tolist()
    configurations = [{n: v[i] for n, v, i in zip(names, values, row, strict=True)} for row in rows]
    scores, seconds = (
        _full(np.stack([np.nanmean(data[f"{d}__{what}"].astype(np.float64), 1) for d in datasets]))
        for what in ("val_acc", "train_time")
    )
    return configurations, datasets, scores, seconds


def _full(values: np.ndarray) -> Tensor:
    """(D, C) at the one budget that there is: (D, C, 1)."""
    return torch.from_numpy(values.astype(np.float64)).unsqueeze(-1)
