"""Search spaces: what is encoded is decoded, what is absent is said to be, and every value is equally likely."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quickstudy.errors import UnknownName, UserError
from quickstudy.rng import Rng
from quickstudy.tasks.scores.settings import Choice, Number
from quickstudy.tasks.scores.space import Space

SPACE = Space(
    {
        "model": Choice(["svm", "forest", None]),
        "C": Number(1e-3, 1e3, log=True, when={"model": ["svm"]}),
        "kernel": Choice(["rbf", "line"], when={"model": ["svm"]}),
        "gamma": Number(0.0, 2.0, when={"kernel": ["rbf"]}),
        "trees": Number(10, 500, log=True, whole=True, when={"model": ["forest"]}),
        "share": Number(0.0, 1.0, step=0.25),
        "size": Choice(["s", "m", "l"], ordered=True),
    }
)


def test_a_space_of_every_kind() -> None:
    configurations = [
        {"model": "svm", "C": 1.0, "kernel": "rbf", "gamma": 0.5, "share": 0.25, "size": "s"},
        {"model": "svm", "C": 1e3, "kernel": "line", "share": 1.0, "size": "m"},
        {"model": "forest", "trees": 70, "share": 0.0, "size": "l"},
        {"model": None, "share": 0.75, "size": "l"},
    ]
    encoding = SPACE.encode(configurations)
    assert encoding.shape == (4, len(SPACE.columns)) and encoding.dtype == torch.float64
    row = dict(zip(SPACE.columns, encoding[1].tolist(), strict=True))
    assert (row["model=svm"], row["C"], row["C?"], row["gamma"], row["gamma?"]) == (1, pytest.approx(1), 1, 0.5, 0)
    assert row["kernel=line"] == 1 and row["trees?"] == 0 and row["size"] == pytest.approx(0.5)
    assert float(encoding.min()) >= 0 and float(encoding.max()) <= 1
    back = SPACE.decode(encoding)
    assert [c.keys() for c in back] == [c.keys() for c in configurations]
    for found, wanted in zip(back, configurations, strict=True):
        for name, value in wanted.items():
            assert found[name] == (pytest.approx(value) if isinstance(value, float) else value)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_belongs_to_the_space(seed: int) -> None:
    drawn = SPACE.sample(0, 5, rng=Rng(seed))
    encoding = SPACE.encode(drawn)
    assert torch.allclose(SPACE.encode(SPACE.decode(encoding)), encoding)
    for configuration in drawn:
        assert ("C" in configuration) == (configuration["model"] == "svm") == ("kernel" in configuration)
        assert ("gamma" in configuration) == (configuration.get("kernel") == "rbf")
        assert configuration["share"] in (0.0, 0.25, 0.5, 0.75, 1.0)


def test_drawn_evenly_and_by_number() -> None:
    drawn = SPACE.sample(0, 4000, rng=Rng(0))
    assert SPACE.sample(17, 3, rng=Rng(0)) == drawn[17:20]
    for name, values in {"share": 5, "size": 3, "model": 3}.items():
        counts = Counter(configuration[name] for configuration in drawn)
        assert len(counts) == values and min(counts.values()) > 0.85 * 4000 / values
    logs = np.log10([c["C"] for c in drawn if "C" in c])
    assert abs(logs.mean()) < 0.2 and logs.std() == pytest.approx(6 / math.sqrt(12), rel=0.05)
    whole = Space({"n": Number(1, 4, whole=True)}).sample(0, 4000, rng=Rng(1))
    assert min(Counter(c["n"] for c in whole).values()) > 900


def test_seen() -> None:
    space = Space.seen(
        [
            {"a": 1, "lr": 1e-4, "p": 0.1, "who": "x", "deep": 3},
            {"a": 2, "lr": 1e-2, "p": 0.5, "who": "y"},
            {"a": 4, "lr": 1.0, "p": 0.9, "who": "z", "deep": 5, "odd": True},
        ]
    )
    of = space.settings
    assert of["a"] == Number(1, 4, log=True, whole=True) and of["lr"] == Number(1e-4, 1.0, log=True)
    assert of["p"] == Number(0.1, 0.9) and of["who"] == Choice(("x", "y", "z"))
    assert of["deep"] == Number(3, 5, whole=True, when={"who": ("x", "z")})
    assert of["odd"].when == {"who": ("z",)} and Space.seen([]).columns == ()
    drawn = Space.seen(
        [{"n": np.int64(1), "lr": np.float64(0.5), "on": True}, {"n": np.int64(2), "lr": 0.7, "on": False}]
    )
    assert drawn.settings["n"] == Number(1, 2, whole=True) and drawn.settings["on"] == Choice((True, False))
    unexplained = Space.seen([{"n": 1, "m": 2}, {"n": 1}]).settings["m"]
    assert unexplained.when == {}


def test_choices_of_any_kind() -> None:
    choice = Choice([1, True, "1", None, (8, 8)])
    assert choice.encode([True, None, 1.0]).argmax(1).tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    ("configuration", "error", "said"),
    [
        ({"share": 0.5, "size": "s"}, UserError, "no 'model'"),
        ({"model": None, "share": 2.0, "size": "s"}, UserError, "'share'.*0.0 to 1.0"),
        ({"model": None, "share": "x", "size": "s"}, UserError, "'share'.*no numbers"),
        ({"model": None, "share": math.nan, "size": "s"}, UserError, "'share'"),
        ({"model": "swm", "share": 0.5, "size": "s"}, UnknownName, "'model'.*Did you mean 'svm'"),
        ({"model": None, "share": 0.5, "size": "s", "c": 1}, UnknownName, "setting 'c'"),
    ],
)
def test_configurations_refused(configuration: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        SPACE.encode([configuration])


def test_spaces_refused() -> None:
    with pytest.raises(UserError, match="0 < low"):
        Number(0, 1, log=True)
    with pytest.raises(UserError, match="all different"):
        Choice(["a", "a"])
    with pytest.raises(UnknownName, match="before 'gamma'"):
        Space({"gamma": Number(0, 1, when={"kernel": ["rbf"]}), "kernel": Choice(["rbf"])})
    with pytest.raises(UserError, match="'C' is"):
        Space.of({"C": {"low": 1, "hihg": 2}})


def test_plain_dicts_and_optuna() -> None:
    described = {"C": {"low": 1, "high": 9, "whole": True}, "k": {"choices": ["a"], "when": {"C": [1]}}}
    assert Space.of(described).settings == {"C": Number(1, 9, whole=True), "k": Choice(["a"], when={"C": [1]})}
    optuna = pytest.importorskip("optuna")
    from quickstudy.tasks.scores.reading.searches import distributions

    made = {
        "C": optuna.distributions.FloatDistribution(1e-3, 10, log=True),
        "n": optuna.distributions.IntDistribution(1, 9, step=2),
        "k": optuna.distributions.CategoricalDistribution(["a", None, 3]),
        "s": optuna.distributions.FloatDistribution(0, 1, step=0.5),
    }
    space = Space.of(made)
    assert space.settings["n"] == Number(1, 9, whole=True, step=2)
    assert space.settings["C"] == Number(1e-3, 10.0, log=True) and space.settings["k"] == Choice(("a", None, 3))
    assert distributions(space) == made


def test_united() -> None:
    one = Space({"C": Number(1.0, 10.0, log=True), "k": Choice(["a", "b"])})
    two = Space({"C": Number(0.1, 5.0, log=True), "k": Choice(["c", "b"]), "n": Number(1, 3, whole=True)})
    both = one.united(two)
    assert both.settings["C"] == Number(0.1, 10.0, log=True) and both.settings["k"] == Choice(["a", "b", "c"])
    assert both.settings["n"] == Number(1, 3, whole=True, when={})
    both.encode([{"C": 0.2, "k": "c", "n": 2}, {"C": 9.0, "k": "a"}])
