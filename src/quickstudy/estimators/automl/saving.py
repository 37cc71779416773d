"""Fitted estimators of AutoML in one file, which skops reads without executing anything that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import BadFile
from ...extras import brought_in
from ...storage import write_atomically
from ..pipelines.columns import ColumnReader

FORMAT = 1
FITTED = (
    "reader_",
    "members_",
    "classes_",
    "metric_",
    "score_",
    "board_",
    "n_features_in_",
    "feature_names_in_",
    "mean_",
    "scale_",
)
OPTIONS = ("time_limit", "trials", "scoring", "folds", "jobs", "seed")

# What skops does not trust by itself, and pipelines are made of.
TRUSTED = {
    f"{ColumnReader.__module__}.{ColumnReader.__name__}",
    "functools.partial",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
}


def save_auto(estimator: Any, path: str | Path) -> Path:
    """Write a fitted estimator, without its store and learner, to a file."""
    state = {name: getattr(estimator, name) for name in FITTED if hasattr(estimator, name)}
    options = {name: getattr(estimator, name) for name in OPTIONS}
    content = {"format": FORMAT, "kind": type(estimator).__name__, "options": options, "fitted": state}
    write_atomically(Path(path), brought_in("skops.io", "Saving a predictor", "automl").dumps(content))
    return Path(path)


def load_auto(path: str | Path) -> Any:
    """The `AutoClassifier` or `AutoRegressor` that `save` wrote.

    Raises:
        BadFile: not such a file, of a newer format, or with something in it that no pipeline of ours is made of.
    """
    from .auto import AutoClassifier, AutoRegressor

    skops = brought_in("skops.io", "Saving a predictor", "automl")
    try:
        strange = sorted(set(skops.get_untrusted_types(file=path)) - TRUSTED)
        if strange:
            raise BadFile(f"{path} holds {', '.join(strange)}, which is no part of a predictor; it was not opened.")
        content = skops.load(path, trusted=sorted(TRUSTED))
        kind = {"AutoClassifier": AutoClassifier, "AutoRegressor": AutoRegressor}[content["kind"]]
        if content["format"] > FORMAT:
            raise BadFile(f"{path} is of format {content['format']}, newer than {FORMAT}; update quickstudy.")
        made = kind(**content["options"])
        for name, value in content["fitted"].items():
            setattr(made, name, value)
    except BadFile:
        raise
    except Exception as error:  # skops and what it calls raise several kinds
        raise BadFile(f"{path} cannot be read as a predictor of AutoML: {error!r}.") from error
    return made
