"""HPO-B (Pineda Arango et al. 2021, arXiv:2106.06257): evaluations of 16 search spaces on OpenML's data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....errors import BadFile, UnknownName
from ..candidates import Candidates
from ..table import ScoreTable

FILES = {"train": "meta-train-dataset", "validation": "meta-validation-dataset", "test": "meta-test-dataset"}


def hpob_spaces(folder: str | Path, *, split: str = "test") -> tuple[str, ...]:
    """The search spaces that a split of the official folder holds."""
    return tuple(_json(Path(folder), _file(split)))


def read_hpob(folder: str | Path, space: str, *, split: str = "test") -> ScoreTable:
    """All evaluations of one search space; candidates are the rows that any of its data sets evaluated.

    Nearly every cell is missing, since data sets have few configurations in common. What a data set evaluated twice is
    there twice, so that its candidates, in order, are the pool of the official protocol.

    Args:
        folder: hpob-data, as published.
        space: number of the search space, as a string.
        split: 'train', 'validation' or 'test'.

    Raises:
        BadFile: a file is missing or damaged.
        UnknownName: a split or search space that there is not.
    """
    datasets = _of_space(_json(Path(folder), _file(split)), space)
    number: dict[tuple[bytes, int], int] = {}
    rows, places, scores = [], [], []
    for d, (name, data) in enumerate(datasets.items()):
        try:
            x, y = np.array(data["X"], dtype=np.float64), np.array(data["y"], dtype=np.float64).reshape(-1)
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(f"{folder}: the data set {name} of space {space} is damaged ({error}).") from error
        for key, row, score in zip(_keys(x), x, y, strict=True):
            if key not in number:
                number[key] = len(number)
                rows.append(row)
            places.append((d, number[key]))
            scores.append(score)
    values = torch.full((len(datasets), len(rows)), torch.nan, dtype=torch.float64)
    values[tuple(torch.tensor(places).T)] = torch.tensor(scores, dtype=torch.float64)
    candidates = Candidates(tuple(map(str, range(len(rows)))), torch.from_numpy(np.stack(rows)))
    return ScoreTable(tuple(datasets), candidates, values.unsqueeze(-1))


def read_starts(folder: str | Path, space: str) -> dict[str, dict[str, list[int]]]:
    """The official first trials of each data set of the test split: seed -> candidates of `read_hpob`."""
    datasets = _of_space(_json(Path(folder), _file("test")), space)
    starts = _of_space(_json(Path(folder), "bo-initializations"), space)
    number: dict[tuple[bytes, int], int] = {}
    pools = {}
    for name, data in datasets.items():
        keys = _keys(np.array(data["X"], dtype=np.float64))
        pools[name] = [number.setdefault(key, len(number)) for key in keys]
    return {
        name: {seed: [pools[name][i] for i in first] for seed, first in seeds.items()} for name, seeds in starts.items()
    }


def _keys(x: np.ndarray) -> list[tuple[bytes, int]]:
    """What tells the rows of a data set apart: their content, and how often it has come before."""
    seen: dict[bytes, int] = {}
    keys = []
    for row in x:
        content = row.tobytes()
        seen[content] = seen.get(content, -1) + 1
        keys.append((content, seen[content]))
    return keys


def _file(split: str) -> str:
    if split not in FILES:
        raise UnknownName.among("split", split, FILES)
    return FILES[split]


def _of_space(content: dict[str, Any], space: str) -> dict[str, Any]:
    if space not in content:
        raise UnknownName.among("search space", space, content)
    return dict(content[space])


def _json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"{path} cannot be read ({error}); give the folder hpob-data as HPO-B publishes it.") from error
