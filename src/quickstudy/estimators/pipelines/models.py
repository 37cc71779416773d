"""The pipelines that AutoML chooses from: a space of settings, and what a configuration of it builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import discriminant_analysis, ensemble, linear_model, naive_bayes, neighbors, neural_network, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

from ...tasks.scores.settings import Choice, Number, Setting

VERSION = 1  # of the space: experience with another one is not about these pipelines
TREES = 100
CATEGORIES = 30  # of a column that are told apart one by one; the rarer are one
BINS = 255  # of a column, in boosting; a column with more names counts as one of numbers

Configuration = Mapping[str, Any]


def settings_of(classification: bool) -> dict[str, Setting]:
    """The space: which family of models, and the settings of each."""
    families = ("linear", "neighbours", "svm", "mlp", "forest", "boosting", *(["gaussian"] if classification else []))

    def of(*names: str) -> dict[str, Any]:
        return {"when": {"family": names}}

    space: dict[str, Setting] = {
        "family": Choice(families),
        "scale": Choice(("standard", "quantile"), **of("linear", "neighbours", "svm", "mlp")),
        "penalty": Number(1e-4, 1e3, log=True, **of("linear")),
        "neighbours": Number(1, 50, log=True, whole=True, **of("neighbours")),
        "near_count_more": Choice((False, True), **of("neighbours")),
        "distance": Choice((1, 2), **of("neighbours")),
        "slack": Number(1e-2, 1e3, log=True, **of("svm")),
        "sharpness": Number(1e-2, 1e1, log=True, **of("svm")),
        "hidden": Number(16, 256, log=True, whole=True, **of("mlp")),
        "hidden_layers": Number(1, 2, whole=True, **of("mlp")),
        "decay": Number(1e-6, 1.0, log=True, **of("mlp")),
        "lr": Number(1e-4, 1e-2, log=True, **of("mlp")),
        "extra": Choice((False, True), **of("forest")),
        "columns_seen": Number(0.1, 1.0, **of("forest")),
        "leaf_rows": Number(1, 20, log=True, whole=True, **of("forest")),
        "rounds": Number(30, 300, log=True, whole=True, **of("boosting")),
        "step": Number(0.02, 0.3, log=True, **of("boosting")),
        "leaves": Number(4, 64, log=True, whole=True, **of("boosting")),
        "least_rows": Number(2, 50, log=True, whole=True, **of("boosting")),
        "shrinkage": Number(1e-3, 10.0, log=True, **of("boosting")),
    }
    if classification:
        space["shape"] = Choice(("naive", "shared", "own"), **of("gaussian"))
        space["rounder"] = Number(1e-4, 0.5, log=True, when={"family": ("gaussian",), "shape": ("shared", "own")})
    return space


def defaults(classification: bool) -> list[dict[str, Any]]:
    """What scikit-learn would do without being told, one configuration a family, and what many begin with."""
    near = {"family": "neighbours", "scale": "standard", "neighbours": 5, "near_count_more": False, "distance": 2}
    boosting = {"family": "boosting", "rounds": 100, "step": 0.1, "leaves": 31, "least_rows": 20, "shrinkage": 1e-3}
    forest = {"family": "forest", "columns_seen": 0.3, "leaf_rows": 1}
    mlp = {"family": "mlp", "scale": "standard", "hidden": 100, "hidden_layers": 1, "decay": 1e-4, "lr": 1e-3}
    found = [
        boosting,
        forest | {"extra": False},
        forest | {"extra": True},
        {"family": "linear", "scale": "standard", "penalty": 1.0},
        {"family": "svm", "scale": "standard", "slack": 1.0, "sharpness": 1.0},
        near,
        mlp,
    ]
    if classification:
        found += [
            {"family": "gaussian", "shape": "naive"},
            {"family": "gaussian", "shape": "shared", "rounder": 1e-2},
            {"family": "gaussian", "shape": "own", "rounder": 1e-2},
        ]
    return found


def plain(classification: bool) -> dict[str, Any]:
    """The one that is fitted in the least time."""
    return {"family": "gaussian", "shape": "naive"} if classification else defaults(False)[3]


def build(
    configuration: Configuration, *, classification: bool, categories: np.ndarray, rows: int, least: int, seed: int
) -> Pipeline:
    """An unfitted pipeline for the matrix of a `ColumnReader`.

    Args:
        configuration: of the space.
        categories: (d,) how many names each column has, 0 for one of numbers.
        rows: how many it will be fitted to.
        least: rows of the rarest class among them.
        seed: of what is random in it.

    >>> build(defaults(True)[3], classification=True, categories=np.array([0]), rows=9, least=3, seed=0)[-1]
    LogisticRegression(max_iter=500)
    """
    c = dict(configuration)
    wide = int(np.where(categories > 0, np.minimum(categories, CATEGORIES), 1).sum())
    made = FAMILIES[c["family"]](c, classification, {"random_state": seed}, rows=rows, width=wide, least=least)
    if c["family"] == "boosting":
        named = (categories > 0) & (categories <= BINS)
        return Pipeline([("model", made.set_params(categorical_features=named))])
    if c["family"] == "forest":
        return Pipeline([("model", made)])
    return Pipeline([("columns", _numbers(c.get("scale", "standard"), categories > 0, rows)), ("model", made)])


def _numbers(scale: str, categorical: np.ndarray, rows: int) -> ColumnTransformer:
    """Gaps filled and marked, numbers scaled, a column for each category."""
    scaler = StandardScaler() if scale == "standard" else _quantiles(rows)
    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), scaler)
    apart = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=CATEGORIES, sparse_output=False)
    return ColumnTransformer(
        [("numbers", filled, np.flatnonzero(~categorical)), ("names", apart, np.flatnonzero(categorical))]
    )


def _quantiles(rows: int) -> QuantileTransformer:
    return QuantileTransformer(n_quantiles=max(1, min(200, rows)), output_distribution="normal", random_state=0)


def _linear(c: Configuration, classification: bool, seed: dict[str, int], **_: int) -> Any:
    if classification:
        return linear_model.LogisticRegression(C=1 / c["penalty"], max_iter=500)
    return linear_model.Ridge(alpha=c["penalty"])


def _neighbours(c: Configuration, classification: bool, seed: dict[str, int], *, rows: int, **_: int) -> Any:
    kind = neighbors.KNeighborsClassifier if classification else neighbors.KNeighborsRegressor
    weights = "distance" if c["near_count_more"] else "uniform"
    return kind(min(c["neighbours"], rows), weights=weights, p=c["distance"])


def _svm(c: Configuration, classification: bool, seed: dict[str, int], *, width: int, least: int, **_: int) -> Any:
    about = {"C": c["slack"], "gamma": c["sharpness"] / width}
    if not classification:
        return svm.SVR(**about)
    # Probabilities by Platt's method, from folds of its own.
    return CalibratedClassifierCV(svm.SVC(**about), ensemble=False, cv=max(2, min(3, least)))


def _mlp(c: Configuration, classification: bool, seed: dict[str, int], **_: int) -> Any:
    kind = neural_network.MLPClassifier if classification else neural_network.MLPRegressor
    sizes = (c["hidden"],) * c["hidden_layers"]
    return kind(hidden_layer_sizes=sizes, alpha=c["decay"], learning_rate_init=c["lr"], max_iter=200, **seed)


def _forest(c: Configuration, classification: bool, seed: dict[str, int], **_: int) -> Any:
    name = ("ExtraTrees" if c["extra"] else "RandomForest") + ("Classifier" if classification else "Regressor")
    about = {"max_features": c["columns_seen"], "min_samples_leaf": c["leaf_rows"]}
    return getattr(ensemble, name)(TREES, **about, **seed)


def _boosting(c: Configuration, classification: bool, seed: dict[str, int], **_: int) -> Any:
    name = "HistGradientBoosting" + ("Classifier" if classification else "Regressor")
    return getattr(ensemble, name)(
        max_iter=c["rounds"],
        learning_rate=c["step"],
        max_leaf_nodes=c["leaves"],
        min_samples_leaf=c["least_rows"],
        l2_regularization=c["shrinkage"],
        early_stopping=False,
        **seed,
    )


def _gaussian(c: Configuration, classification: bool, seed: dict[str, int], **_: int) -> Any:
    if c["shape"] == "naive":
        return naive_bayes.GaussianNB()
    if c["shape"] == "shared":
        return discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=c["rounder"])
    return discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=c["rounder"])


FAMILIES: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "neighbours": _neighbours,
    "svm": _svm,
    "mlp": _mlp,
    "forest": _forest,
    "boosting": _boosting,
    "gaussian": _gaussian,
}
