"""Meta-features: the same names always, and values that can be worked out apart."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from quickstudy.errors import BadExamples, UnknownName
from quickstudy.rng import Rng
from quickstudy.tasks.meta_features.describe import GROUPS, describe
from quickstudy.tasks.meta_features.reading import ROWS

NAMES = [feature.__name__ for features in GROUPS.values() for feature in features]
RNG = np.random.default_rng(0)


def shifted(n: int = 300, p: int = 6, ways: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Classes with other means, one skewed column, two columns that nearly agree."""
    y = RNG.integers(ways, size=n)
    x = RNG.normal(size=(n, p)) + y[:, None] * np.linspace(0, 1.5, p)
    x[:, 0] = np.exp(x[:, 0])
    x[:, 1] = x[:, 2] + 0.1 * RNG.normal(size=n)
    return x, y


ODD: list[tuple[str, Any, Any]] = [
    ("one class", RNG.normal(size=(20, 3)), ["a"] * 20),
    ("one row", [[1.0, "x"]], [2.5]),
    ("constant columns", np.ones((9, 2)), [0, 1, 2] * 3),
    ("nothing but gaps", np.full((6, 2), np.nan), [0, 1] * 3),
    ("infinite cells", np.array([[np.inf, 1.0], [2.0, -np.inf], [3.0, 4.0]]), ["a", "b", "a"]),
    ("all words", [["red"], ["blue"], [None]], [True, False, True]),
    ("constant target", RNG.normal(size=(20, 3)), np.full(20, 0.5)),
    ("more columns than rows", RNG.normal(size=(5, 40)), [0, 1, 0, 1, 1]),
    ("huge numbers", RNG.normal(size=(30, 2)) * 1e200, RNG.normal(size=30)),
    ("a class of one row", RNG.normal(size=(30, 2)), ["rare"] + ["common"] * 29),
]


@pytest.mark.parametrize(("x", "y"), [odd[1:] for odd in ODD], ids=[odd[0] for odd in ODD])
def test_names_are_the_same_whatever_the_table(x: Any, y: Any) -> None:
    found = describe(x, y, time_limit=60)
    assert list(found) == NAMES
    assert not any(math.isinf(value) for value in found.values())
    assert found["log_rows"] == math.log(len(x))


def test_about_forty() -> None:
    assert 35 <= len(NAMES) == len(set(NAMES)) <= 50
    assert all((feature.__doc__ or "").count("\n") >= 2 for features in GROUPS.values() for feature in features)


def test_by_hand() -> None:
    x = [[0.0, "red", 1], [0.0, "blue", 2], [None, "red", 1], [4.0, "red", 2]]
    found = describe(x, ["yes", "no", "yes", "no"], groups=["simple", "information", "statistical"], categorical=[2])
    assert found["share_categorical"] == pytest.approx(2 / 3)
    assert found["share_missing"] == pytest.approx(1 / 12) and found["share_rows_missing"] == 0.25
    assert found["share_binary"] == 1.0 and found["categories_mean"] == 2.0
    assert found["share_zero"] == pytest.approx(2 / 3)
    assert found["target_entropy"] == 1.0 and found["information_most"] == pytest.approx(1.0)  # column 2 is the answer


def test_a_regression_against_numpy() -> None:
    x = RNG.normal(size=(400, 3))
    y = np.exp(x @ [1.0, 0.5, 0.0])
    found = describe(x, y, groups=["statistical", "simple"])
    shares = [np.corrcoef(column, y)[0, 1] ** 2 for column in x.T]
    assert found["explained_most"] == pytest.approx(max(shares))
    assert found["explained_mean"] == pytest.approx(np.mean(shares))
    residual = y - np.c_[x, np.ones(400)] @ np.linalg.lstsq(np.c_[x, np.ones(400)], y, rcond=None)[0]
    assert found["canonical_correlation"] == pytest.approx(math.sqrt(1 - residual.var() / y.var()))
    assert found["target_skewness"] == pytest.approx((((y - y.mean()) / y.std()) ** 3).mean())
    assert math.isnan(found["classes"]) and math.isnan(found["class_share_most"])
    values = np.linalg.eigvalsh(np.corrcoef(x.T))[::-1]
    assert found["component_first"] == pytest.approx(values[0] / 3)


def test_kinds_of_targets() -> None:
    x = RNG.normal(size=(60, 2))

    def classes(y: Any, **options: Any) -> float:
        return describe(x, y, groups=["simple"], **options)["classes"]

    assert classes(np.arange(60) % 3) == 3
    assert classes((np.arange(60) % 3).astype(float)) == 3
    assert classes(np.array(["a", "b", None] * 20, dtype=object)) == 2
    assert math.isnan(classes(np.arange(60)))
    assert classes(np.arange(60), kind="classification") == 60
    assert math.isnan(classes(np.arange(60) % 3, kind="regression"))


def test_landmarkers_know_what_they_are_for() -> None:
    x = RNG.normal(size=(400, 2))
    parity = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int)
    found = describe(x, parity, groups=["landmarkers"], time_limit=60)
    assert found["linear"] < 0.65 and found["stump"] < 0.65 < 0.85 < found["tree"] and found["nearest_neighbour"] > 0.85
    straight = describe(x, x @ [1.0, 2.0], groups=["landmarkers"], time_limit=60)
    assert straight["linear"] > 0.99 > straight["stump"] and math.isnan(straight["naive_bayes"])
    noise = describe(x, RNG.permutation(np.arange(400) % 2), groups=["landmarkers"], time_limit=60)
    assert all(abs(value - 0.5) < 0.12 for value in noise.values())


def test_a_large_table_is_sampled_and_its_size_is_that_of_the_whole() -> None:
    x = RNG.normal(size=(ROWS + 5000, 2))
    y = (x[:, 0] > 0).astype(int)
    found = describe(x, y, groups=["simple", "statistical"], time_limit=60)
    assert found["log_rows"] == math.log(len(x))
    assert found == describe(x, y, groups=["simple", "statistical"], time_limit=60)
    other = describe(x, y, groups=["simple", "statistical"], time_limit=60, rng=Rng(1))
    assert other["skewness_mean"] != found["skewness_mean"] == pytest.approx(other["skewness_mean"], abs=0.1)


def test_fast_enough() -> None:
    x = RNG.normal(size=(10_000, 50))
    y = (x[:, 0] > 0).astype(int)
    describe(x[:100], y[:100])
    start = time.process_time()
    found = describe(x, y, time_limit=60)
    assert time.process_time() - start < 0.5
    assert not math.isnan(found["tree"])


def test_stops_in_time() -> None:
    x, y = shifted()
    assert all(math.isnan(value) for value in describe(x, y, time_limit=0.0).values())


def test_other_tables() -> None:
    x, y = shifted(40)
    plain = describe(x, y)
    sparse, pandas = pytest.importorskip("scipy.sparse"), pytest.importorskip("pandas")
    assert describe(sparse.csr_matrix(x), y) == pytest.approx(plain, nan_ok=True)
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    words = pandas.Series(y).map({0: "a", 1: "b", 2: "c"})
    assert describe(frame, words) == pytest.approx(plain, nan_ok=True)
    more = frame.assign(
        kind=pandas.Categorical([1, 2] * 20),
        count=pandas.array([1, None] * 20, dtype="Int64"),
        day=pandas.to_datetime(["2026-01-01", None] * 20),
    )
    found = describe(more, words, groups=["simple"])
    assert found["share_categorical"] == pytest.approx(1 / 9) and found["share_missing"] == pytest.approx(1 / 9)


def test_many_classes_and_names() -> None:
    n = 3000
    x = np.stack([np.arange(n), RNG.normal(size=n)], 1).astype(object)
    start = time.process_time()
    found = describe(x, [f"class {i}" for i in range(n)], categorical=[0], groups=["statistical", "information"])
    assert time.process_time() - start < 2 and found["information_most"] == pytest.approx(math.log2(n))


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (np.zeros((0, 3)), [], {}, r"\(0, 3\)"),
        (np.zeros(3), [1, 2, 3], {}, "rows and columns"),
        (np.zeros((3, 2)), [1, 2], {}, "3 rows and y has 2"),
        (np.zeros((2, 2)), [math.nan, None], {}, "missing"),
        (np.zeros((2, 2)), ["a", "b"], {"kind": "regression"}, "numbers"),
        (np.zeros((2, 2)), np.zeros((2, 3)), {}, "one column"),
        (np.zeros((2, 2)), [0, 1], {"groups": ["simpel"]}, "'simple'"),
        (np.zeros((2, 2)), [0, 1], {"kind": "regresion"}, "'regression'"),
    ],
)
def test_bad_input(x: Any, y: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((BadExamples, UnknownName), match=said):
        describe(x, y, **options)
