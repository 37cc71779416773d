"""Published experience: scenarios of ASlib, and the tables that papers left behind."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import pytest
import torch

from quickstudy.errors import BadFile, MissingData, UnknownName
from quickstudy.tasks.datasets.named import data_folder
from quickstudy.tasks.scores.named import NAMED, score_table
from quickstudy.tasks.scores.reading.aslib import read_aslib, scenario, scenarios

DESCRIPTION = """scenario_id: TINY
performance_measures:
    - runtime
maximize:
    - false
performance_type:
    - runtime
algorithm_cutoff_time: 100
features_cutoff_time: '?'
default_steps:
    - cheap
feature_steps:
    cheap:
        provides:
            - size
    dear:
        provides:
            - depth
        requires:
            - cheap
"""
RUNS = """@RELATION RUNS
@ATTRIBUTE instance_id STRING
@ATTRIBUTE repetition NUMERIC
@ATTRIBUTE algorithm STRING
@ATTRIBUTE runtime NUMERIC
@ATTRIBUTE runstatus {ok, timeout, memout}

@DATA
'one, two',1,fast solver,10,ok
'one, two',2,fast solver,30,ok
'one, two',1,slow,90,ok
three,1,fast solver,100,timeout
three,1,slow,120,ok
% a comment
four,1,fast solver,5,memout
four,1,slow,?,memout
"""
FEATURES = """@RELATION F
@ATTRIBUTE instance_id STRING
@attribute 'repetition' NUMERIC
@ATTRIBUTE size NUMERIC
@ATTRIBUTE depth NUMERIC
@DATA
three,1,3,1.5
'one, two',1,12,?
four,1,4,2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "description.txt": DESCRIPTION,
        "algorithm_runs.arff": RUNS,
        "feature_values.arff": FEATURES,
        "feature_costs.arff": FEATURES.replace("size", "cheap").replace("depth", "dear"),
        "cv.arff": FEATURES.split("@ATTRIBUTE size")[0]
        + "@ATTRIBUTE fold NUMERIC\n@DATA\nthree,1,2\n'one, two',1,1\nfour,1,2\nfour,2,1\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_scenario_as_aslib_publishes_it(folder: Path) -> None:
    pytest.importorskip("yaml")
    made = read_aslib(folder)
    assert made.instances == ("one, two", "three", "four") and made.algorithms == ("fast solver", "slow")
    assert made.cutoff == 100 and not made.maximise and made.folds.tolist() == [1, 2, 2]
    assert made.solved.tolist() == [[True, True], [False, False], [False, False]]
    assert made.par10.tolist() == [[20, 90], [1000, 1000], [1000, 1000]]
    assert made.feature_names == ("size",) and made.features.flatten().tolist() == [12, 3, 4]
    assert made.feature_cost.tolist() == [12, 3, 4]
    table = made.table
    assert table.final[0].tolist() == [-20, -90] and table.regret[0].tolist() == [0, 1]
    for rows in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        part = made.select(rows)
        assert sorted(part.instances) == ["four", "one, two"] and part.features.sum() == 16 and len(part.table) == 2
    both = read_aslib(folder, steps=["cheap", "dear"])
    assert both.feature_names == ("size", "depth") and both.feature_cost.tolist() == [12, 4.5, 6]
    assert math.isnan(both.features[0, 1]) and both.steps == {"cheap": ("size",), "dear": ("depth",)}


def test_scenarios_refused(folder: Path) -> None:
    pytest.importorskip("yaml")
    with pytest.raises(UnknownName, match="'deer'"):
        read_aslib(folder, steps=["deer"])
    (folder / "cv.arff").write_text("@ATTRIBUTE instance_id STRING\n@ATTRIBUTE fold NUMERIC\n@DATA\nthree,1\n")
    with pytest.raises(BadFile, match="no official fold for 2 instances"):
        read_aslib(folder)
    (folder / "feature_values.arff").write_text("@ATTRIBUTE instance_id STRING\n@DATA\nthree,1\n")
    with pytest.raises(BadFile, match="row 1 has 2 cells"):
        read_aslib(folder)
    (folder / "algorithm_runs.arff").unlink()
    with pytest.raises(BadFile, match=r"lacks algorithm_runs\.arff or performance\.csv"):
        read_aslib(folder)
    (folder / "description.txt").write_text("- nothing\n")
    with pytest.raises(BadFile, match=r"description\.txt is not"):
        read_aslib(folder)
    with pytest.raises(BadFile, match="neither"):
        read_aslib(folder / "no")


def test_no_scenario_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="coseal/aslib_data"):
        scenario("TINY")
    (tmp_path / "automl/aslib/TINY").mkdir(parents=True)
    with pytest.raises(UnknownName, match="Did you mean 'TINY'"):
        scenario("TINNY")


@pytest.mark.data
def test_a_scenario_that_is_here() -> None:
    try:
        made = scenario("CSP-Minizinc-Time-2016")
    except (MissingData, UnknownName) as missing:
        pytest.skip(str(missing))
    home = data_folder()
    assert home is not None and made.name in scenarios() and made.cutoff is not None
    rows = {}
    for part in ("performance", "runstatus"):
        with gzip.open(home / "automl/aslib" / made.name / f"{part}.csv.gz", "rt") as file:
            rows[part] = {row["instance_id"]: row for row in csv.DictReader(file)}
    for i, instance in enumerate(made.instances):
        for a, algorithm in enumerate(made.algorithms):
            seconds = float(rows["performance"][instance][algorithm])
            solved = rows["runstatus"][instance][algorithm] == "ok"
            assert made.par10[i, a] == (seconds if solved else 10 * made.cutoff)
    assert sorted(set(made.folds.tolist())) == list(range(1, 11)) and len(made.feature_names) == 95


def test_named_tables_say_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path))
    for name in NAMED:
        with pytest.raises(MissingData, match=f"automl/{name}/.*QUICKSTUDY_DATA"):
            score_table(name)
    with pytest.raises(UnknownName, match="Did you mean 'oboe'"):
        score_table("obo")
    (tmp_path / "automl/svm_tst").mkdir(parents=True)
    (tmp_path / "automl/svm_tst/svm_tst.npz").write_bytes(b"PK no")
    with pytest.raises(BadFile, match=r"svm_tst\.npz"):
        score_table("svm_tst")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shape", "random"),
    [
        ("svm_tst", (50, 288, 1), 0.623),
        ("oboe", (418, 219, 1), 0.408),
        ("hpobench_mlp", (8, 30000, 1), 0.417),
        ("nasbench201", (3, 15625, 1), None),
        ("yahpo_lcbench", (34, 600, 52), 0.409),
        ("lcdb", (248, 20, 35), None),
    ],
)
def test_named_tables(name: str, shape: tuple[int, ...], random: float | None) -> None:
    """`random`: mean regret of one random candidate, as a study of 20 (8 for hpobench_mlp) data sets found it."""
    try:
        table = score_table(name)
    except MissingData as missing:
        pytest.skip(str(missing))
    assert tuple(table.scores.shape) == shape
    if random is not None:
        assert float(table.regret.nanmean()) == pytest.approx(random, abs=0.1)
    space = table.candidates.space
    if space is not None:
        encoding = table.candidates.encoding
        assert float(encoding.min()) >= 0 and float(encoding.max()) <= 1
        assert torch.allclose(space.encode(space.decode(encoding[::50])), encoding[::50])
    if name == "nasbench201":
        assert table.final.amax(1).tolist() == pytest.approx([91.61, 73.49, 46.73], abs=0.005)  # as published
        assert table.candidates.names[int(table.final[0].argmax())] == (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
        )
