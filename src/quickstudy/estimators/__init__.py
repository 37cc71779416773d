"""Learners as scikit-learn's estimators: `fit` adapts, so they go wherever a classifier or a regressor goes."""

from ..errors import UserError

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  (there since 1.6)
except ImportError as error:
    raise UserError(
        "quickstudy.estimators needs scikit-learn 1.6 or newer, which is not installed here; run"
        " pip install 'quickstudy[sklearn]'."
    ) from error

from .classifier import FewShotClassifier
from .regressor import FewShotRegressor

__all__ = ["FewShotClassifier", "FewShotRegressor"]
