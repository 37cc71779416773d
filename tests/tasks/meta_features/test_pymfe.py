"""Meta-features that pymfe has too are what it says they are."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from quickstudy.tasks.meta_features.describe import describe
from quickstudy.tasks.meta_features.groups import landmarkers

RNG = np.random.default_rng(0)


def shifted(n: int = 300, p: int = 6, ways: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Classes with other means, one skewed column, two columns that nearly agree."""
    y = RNG.integers(ways, size=n)
    x = RNG.normal(size=(n, p)) + y[:, None] * np.linspace(0, 1.5, p)
    x[:, 0] = np.exp(x[:, 0])
    x[:, 1] = x[:, 2] + 0.1 * RNG.normal(size=n)
    return x, y


def pymfe(x: np.ndarray, y: np.ndarray, *names: str, **options: Any) -> dict[str, float]:
    extractor = pytest.importorskip("pymfe.mfe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = extractor.MFE(groups="all", features=list(names), summary=["mean", "sd", "max", "min"])
        made.fit(x, y, cat_cols=options.pop("cat_cols", False), transform_num=False, transform_cat=None)
        return dict(zip(*made.extract(suppress_warnings=True, **options), strict=True))


def test_numbers_as_pymfe_has_them() -> None:
    x, y = shifted()
    ours = describe(x, y, groups=["simple", "statistical"])
    names = ("skewness", "kurtosis", "cor", "nr_cor_attr", "can_cor", "nr_inst", "nr_class", "freq_class")
    theirs = pymfe(x, y, *names, skewness={"method": 1}, kurtosis={"method": 1})
    wide = math.sqrt(6 / 5)  # theirs divides by n - 1 columns
    for name, other in {
        "skewness_mean": theirs["skewness.mean"],
        "skewness_sd": theirs["skewness.sd"] / wide,
        "kurtosis_mean": theirs["kurtosis.mean"],
        "kurtosis_sd": theirs["kurtosis.sd"] / wide,
        "correlation_mean": theirs["cor.mean"],
        "correlation_most": theirs["cor.max"],
        "share_correlated": theirs["nr_cor_attr"],
        "log_rows": math.log(theirs["nr_inst"]),
        "classes": theirs["nr_class"],
        "class_share_least": theirs["freq_class.min"],
        "class_share_most": theirs["freq_class.max"],
        "canonical_correlation": theirs["can_cor.max"],
    }.items():
        assert ours[name] == pytest.approx(other, rel=1e-6), name


def test_categories_as_pymfe_has_them() -> None:
    y = RNG.integers(3, size=500)
    x = np.stack([np.where(RNG.random(500) < 0.5, y, RNG.integers(k, size=500)) for k in (2, 3, 5, 8)], 1)
    ours = describe(x, y, groups=["information"], categorical=range(4))
    names = ("class_ent", "attr_ent", "mut_inf", "joint_ent", "eq_num_attr", "ns_ratio")
    theirs = pymfe(x.astype(str).astype(object), y, *names, cat_cols=[0, 1, 2, 3])
    wide = math.sqrt(4 / 3)
    for name, other in {
        "target_entropy": theirs["class_ent"],
        "entropy_mean": theirs["attr_ent.mean"],
        "entropy_sd": theirs["attr_ent.sd"] / wide,
        "information_mean": theirs["mut_inf.mean"],
        "information_most": theirs["mut_inf.max"],
        "information_sd": theirs["mut_inf.sd"] / wide,
        "joint_entropy_mean": theirs["joint_ent.mean"],
        "columns_needed": theirs["eq_num_attr"],
        "noise_to_signal": theirs["ns_ratio"],
    }.items():
        assert ours[name] == pytest.approx(other, rel=1e-5), name  # theirs adds a little to every share


def test_landmarkers_near_pymfe() -> None:
    x, y = shifted(n=landmarkers.ROWS)
    x = (x - x.mean(0)) / x.std(0)
    ours = describe(x, y, groups=["landmarkers"], time_limit=60)
    theirs = pymfe(x, y, "one_nn", "naive_bayes", "best_node")
    for name, other in {"nearest_neighbour": "one_nn", "naive_bayes": "naive_bayes", "stump": "best_node"}.items():
        assert ours[name] == pytest.approx(theirs[f"{other}.mean"], abs=0.06), name  # 3 folds there, 10 here
