"""A user's own data: from a file to tasks, and through a whole study on a small scale."""

from __future__ import annotations

import csv
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from quickstudy.bundle import load_bundle
from quickstudy.cli.main import call
from quickstudy.errors import NotEnoughExamples
from quickstudy.learners.baseline.nearest import NearestNeighbour
from quickstudy.study import Study
from quickstudy.study.judging import curve, judged, longest
from quickstudy.study.own import own_tasks
from quickstudy.study.shortlists import entries_for
from quickstudy.tasks.class_groups import ClassGroups
from quickstudy.tasks.episodes import Episodes
from quickstudy.tasks.groups import Groups
from quickstudy.tasks.own.reading import read_rows
from quickstudy.tasks.pool import Pool


def written(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def shops(path: Path, *, tasks: int = 12, rows: int = 24) -> Path:
    """Customers of a shop each, who buy above a threshold of that shop's own."""
    rng = np.random.default_rng(0)
    made = []
    for shop in range(tasks):
        x = rng.normal(size=(rows, 2)).round(3)
        buys = x[:, 0] > np.median(x[:, 0])
        made += [[f"shop {shop}", *row, "yes" if b else "no"] for row, b in zip(x.tolist(), buys, strict=True)]
    return written(path, ["shop", "age", "visits", "buys"], made)


def sensors(path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = [[f"s{s}", x, s + 2 * x] for s in range(12) for x in rng.normal(size=20).tolist()]
    return written(path, ["sensor", "heat", "drift"], made)


def intents(path: Path) -> Path:
    made = [[f"please {word} {noun}", word] for word in "abcdefghijklmno" for noun in ("tea", "milk", "rum", "gin")]
    return written(path, ["said", "wish"], made)


def test_tasks_that_exist_keep_their_classes_and_stand_whole_on_one_side(tmp_path: Path) -> None:
    rows = read_rows(shops(tmp_path / "shops.csv"), task="shop", label="buys")
    own = own_tasks(rows, shots=3)
    assert isinstance(own.source, ClassGroups) and own.source.labels == "shared" and own.encoder.feature == (2,)
    sides = own.split.of(own.rows)
    for side in ("train", "validation", "test"):
        task = own.source.of(side).sample(0, 8)
        assert task.origin is not None
        assert set(sides[task.origin.query.flatten().clamp(min=0)].tolist()) == {side}
    # The rarest class of a task has 12 rows, so 3 + 9 fit; of the numbers that are tried 5 is the largest below.
    assert own.source.queries == 5
    assert {e.name for e in entries_for(own.source)} >= {"pooled", "pooled, fine-tuned", "maml", "trees", "majority"}


def test_a_few_tiny_tasks_are_left_out_and_the_others_keep_their_questions(tmp_path: Path) -> None:
    sizes = [24] * 12 + [4] * 3
    rows = [[f"shop {s}", i % 5, "yes" if i % 2 else "no"] for s, size in enumerate(sizes) for i in range(size)]
    path = written(tmp_path / "shops.csv", ["shop", "visits", "buys"], rows)
    own = own_tasks(read_rows(path, task="shop", label="buys"), shots=2)
    assert own.source.queries == 10  # of 12 rows of a class, not 1 for the sake of those with 2
    assert "3 of the tasks, with fewer than 2 + 10 rows of a class, are left out" in own.account()


def test_what_is_scaled_is_scaled_by_training_rows_alone(tmp_path: Path) -> None:
    own = own_tasks(read_rows(sensors(tmp_path / "sensors.csv"), task="sensor", label="drift"), shots=5)
    assert isinstance(own.source, Groups)
    train = own.split.of(own.rows) == "train"
    heat = own.rows.inputs.numeric[train, 0]
    assert own.encoder(own.rows.inputs[train]).quantile(0.5).item() == pytest.approx(0, abs=1e-6)
    assert np.median(heat) != np.median(own.rows.inputs.numeric[:, 0])


def test_classes_are_drawn_where_rows_belong_to_no_task(tmp_path: Path) -> None:
    rows = read_rows(intents(tmp_path / "wishes.csv"), label="wish", text="said")
    own = own_tasks(rows, encoder="hashed-n-grams", width=32)
    assert isinstance(own.source, Episodes)
    assert own.source.ways == 3 and "tasks have 3 classes, not 5" in own.account()
    assert own.source.queries == 2  # of 4 texts each
    with pytest.raises(NotEnoughExamples, match="0 have as many"):
        own_tasks(rows, encoder="hashed-n-grams", shots=4)


def test_tasks_that_exist_are_judged_once_each(tmp_path: Path) -> None:
    own = own_tasks(read_rows(shops(tmp_path / "s.csv"), task="shop", label="buys"), shots=2, queries=4)
    result = judged(NearestNeighbour(), own.source, "test", 200)
    assert result.tasks == len(own.split.names("test")) == len(set(result.episodes))
    points = curve(NearestNeighbour(), own.source, "test", 200)
    assert list(points) == [1, 2, 5]  # 12 rows of the rarest class, 4 of them asked
    assert longest(own.source.test.replaced(shots=3))[0] == (1, 2, 3, 5)


def test_a_curve_is_over_the_same_classes_throughout() -> None:
    x = torch.arange(60.0).view(60, 1)
    pool = Pool.of(x, ["a"] * 24 + ["b"] * 24 + ["c"] * 4 + ["d"] * 8)
    shots, roomy = longest(Episodes(pool, ways=2, shots=1, queries=3))
    assert shots == (1, 2, 5, 10, 20) and isinstance(roomy, Episodes) and roomy.pool.split == ("train", "train", "", "")
    assert longest(Episodes(pool, ways=4, shots=1, queries=3))[0] == ()


@pytest.mark.parametrize("kind", ["table", "regression", "text"])
def test_the_whole_way(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: 0.002 * next(ticks))
    if kind == "table":
        rows = read_rows(shops(tmp_path / "t.csv"), task="shop", label="buys")
    elif kind == "regression":
        rows = read_rows(sensors(tmp_path / "t.csv"), task="sensor", label="drift")
    else:
        rows = read_rows(intents(tmp_path / "t.csv"), label="wish", text="said")
    own = own_tasks(
        rows, **({"encoder": "hashed-n-grams", "width": 32} if kind == "text" else {}), columns={"label": "x"}
    )
    job = Study(own.source, out=tmp_path / "study", seconds=10, validation=10, tests=10, own=own)
    for _ in job.run():
        pass
    assert job.findings is not None and not job.findings.audit.leaks
    assert "it had never met" in job.findings.sentence
    names = {one.name for one in job.findings.diagnoses}
    assert {"against pooling", "overfitting", "wrong labels"} <= names
    bundle = load_bundle(tmp_path / "study" / "bundle")
    assert bundle.encoder is not None and bundle.encoder.identity == own.encoder.identity


def test_what_was_understood_is_shown_and_that_is_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for c in range(12):
        (tmp_path / "photos" / f"class {c}").mkdir(parents=True)
        for i in range(4):
            pixels = np.full((9, 7, 3), 20 * c, np.uint8) + rng.integers(0, 9, (9, 7, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / f"class {c}" / f"{i}.png")
    assert call(["study", str(tmp_path / "photos"), "--check", "--json", "--out", str(tmp_path / "study")]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["unit"] == "class" and sorted(plain["sides"].values()).count("test") == 2
    assert "48 rows of image" in plain["account"][0]
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--check"], "--check says something about data of your own"),
        (["--text", "said"], "--text says something about data of your own"),
        (["here.csv", "--source", "glyphs"], "two places to take tasks from"),
        (["here.csv"], "here.csv"),
    ],
)
def test_options_that_do_not_fit_are_said(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["study", *options]) == 2
    assert message in capsys.readouterr().err
