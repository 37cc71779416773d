"""HPO-B's folder, on one made up in its layout: the official pools, first trials and regret."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from quickstudy.errors import BadFile, UnknownName
from quickstudy.tasks.scores.reading.hpob import hpob_spaces, read_hpob, read_starts


@pytest.fixture
def hpob(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.random((6, 2)).round(3)
    pools = {"11": [0, 1, 2, 1], "12": [3, 1, 4, 5]}
    content = {
        d: {"X": x[rows].tolist(), "y": [[r + 0.1 * i] for i, r in enumerate(rows)]} for d, rows in pools.items()
    }
    (tmp_path / "meta-test-dataset.json").write_text(json.dumps({"4796": content}))
    (tmp_path / "meta-train-dataset.json").write_text(json.dumps({"4796": {"13": content["11"]}, "5527": content}))
    starts = {"4796": {d: {"test0": [3, 0], "test1": [1, 2]} for d in pools}}
    (tmp_path / "bo-initializations.json").write_text(json.dumps(starts))
    return tmp_path


def test_hpob_keeps_the_official_pools(hpob: Path) -> None:
    assert hpob_spaces(hpob) == ("4796",) and hpob_spaces(hpob, split="train") == ("4796", "5527")
    table = read_hpob(hpob, "4796")
    assert table.datasets == ("11", "12") and table.scores.shape == (2, 7, 1)
    official = json.loads((hpob / "meta-test-dataset.json").read_text())["4796"]
    starts = read_starts(hpob, "4796")
    for d, name in enumerate(table.datasets):
        data = official[name]
        known = table.final[d].isfinite().nonzero().flatten()
        assert len(known) == len(data["X"])  # a configuration that was evaluated twice is there twice
        assert sorted(table.final[d, known].tolist()) == sorted(y for (y,) in data["y"])
        for seed, rows in {"test0": [3, 0], "test1": [1, 2]}.items():
            for candidate, row in zip(starts[name][seed], rows, strict=True):
                assert table.final[d, candidate] == data["y"][row][0]
                assert table.candidates.encoding[candidate].tolist() == data["X"][row]
    y = np.array(official["11"]["y"]).ravel()
    regret = table.regret[0, starts["11"]["test0"]]
    assert torch.allclose(
        regret, torch.from_numpy(((y.max() - y) / np.ptp(y))[[3, 0]])
    )  # as the official handler has it


def test_hpob_refused(hpob: Path) -> None:
    with pytest.raises(UnknownName, match="'4769'"):
        read_hpob(hpob, "4769")
    with pytest.raises(UnknownName, match="'test'"):
        read_hpob(hpob, "4796", split="tset")
    with pytest.raises(BadFile, match="meta-validation-dataset"):
        read_hpob(hpob, "4796", split="validation")
    (hpob / "meta-test-dataset.json").write_text('{"4796": {"11": {"X": [[1], [2, 3]], "y": [1]}}}')
    with pytest.raises(BadFile, match="data set 11"):
        read_hpob(hpob, "4796")
