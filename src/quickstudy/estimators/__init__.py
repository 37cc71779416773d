"""Estimators in scikit-learn's conventions: learners that adapt, AutoML, stacking; and Optuna's sampler."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import UserError

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  (there since 1.6)
except ImportError as error:
    raise UserError(
        "quickstudy.estimators needs scikit-learn 1.6 or newer, which is not installed here; run"
        " pip install 'quickstudy[sklearn]'."
    ) from error

if TYPE_CHECKING:
    from .advisor import Advisor
    from .automl.auto import AutoClassifier, AutoRegressor
    from .automl.saving import load_auto
    from .classifier import FewShotClassifier
    from .regressor import FewShotRegressor
    from .sampler import MetaSampler
    from .stacking.leakage import leak_test
    from .stacking.multi_task import MultiTaskStack
    from .stacking.stack import StackedClassifier, StackedRegressor

# name -> module; imported when first used, since a worker of AutoML needs no torch.
_NAMES = {
    "Advisor": "advisor",
    "AutoClassifier": "automl.auto",
    "AutoRegressor": "automl.auto",
    "FewShotClassifier": "classifier",
    "FewShotRegressor": "regressor",
    "MetaSampler": "sampler",
    "MultiTaskStack": "stacking.multi_task",
    "StackedClassifier": "stacking.stack",
    "StackedRegressor": "stacking.stack",
    "leak_test": "stacking.leakage",
    "load_auto": "automl.saving",
}

__all__ = [
    "Advisor",
    "AutoClassifier",
    "AutoRegressor",
    "FewShotClassifier",
    "FewShotRegressor",
    "MetaSampler",
    "MultiTaskStack",
    "StackedClassifier",
    "StackedRegressor",
    "leak_test",
    "load_auto",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"quickstudy.estimators has no '{name}'; it has {', '.join(sorted(_NAMES))}.")
    found = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_NAMES)
