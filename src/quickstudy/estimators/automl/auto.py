"""A classifier and a regressor that find their own pipelines, combine the best, and remember what they found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ...errors import BadExamples, NotEnoughExamples, UserError
from ...learner import Learner
from ...tasks.scores.space import Space
from ..advisor import LEARNER
from ..pipelines.columns import ColumnReader
from ..pipelines.models import VERSION, plain, settings_of
from ..pipelines.worker import Work
from ..stacking.crossfit import Metric, answers_of, metric_of
from ..stacking.folds import splits_of
from .combining import combine
from .experience import features_of, kind_of, past, sampler_for
from .saving import save_auto
from .search import Progress, Search
from .store import Store

DESCRIBING = 0.05  # of the time limit that meta-features may take
UNHURRIED = 1.0  # seconds that they may take where there is no limit


class Auto(BaseEstimator):
    """What both do; abstract."""

    classification: ClassVar[bool]

    def __init__(
        self,
        time_limit: float | None = 60.0,
        *,
        trials: int | None = None,
        scoring: str | None = None,
        folds: int = 5,
        jobs: int = 1,
        store: str | Path | None = None,
        learner: str | Learner = LEARNER,
        seed: int = 0,
        tell: Callable[[Progress], None] | None = None,
    ):
        self.time_limit, self.trials, self.scoring, self.folds, self.jobs = time_limit, trials, scoring, folds, jobs
        self.store, self.learner, self.seed, self.tell = store, learner, seed, tell

    def fit(self, X: Any, y: Any, groups: Any = None, time: Any = None) -> Any:
        """Search, combine and refit.

        Args:
            X: (n, columns) numbers, words and gaps: an array, a list of rows, or a data frame.
            y: (n,) labels or numbers.
            groups: (n,) rows of a group are never on both sides of a fold: a patient, a site.
            time: (n,) when each row was measured; pipelines are judged on what came after all that they learned from.
        """
        began = monotonic()
        self._check_options()
        X, y = validate_data(self, X, y, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=2)
        targets = self._targets(y)
        self.reader_ = ColumnReader().fit(X)
        x = self.reader_.transform(X)
        splits = splits_of(targets, self.folds, classes=self.classification, groups=groups, time=time, seed=self.seed)
        work = Work(x, targets, self.reader_.categories_, self._outputs, splits, self.seed)
        self.metric_, metric = metric_of(self.scoring, classes=self.classification)
        store = Store(self.store)
        try:
            search = self._search(work, metric, store, began)
            with contextlib.closing(search):
                search.run()
                found = combine(search, metric)
        finally:
            store.close()
        self.members_, self.score_, self.board_ = found.members, found.score, found.board
        return self

    def leaderboard(self) -> list[dict[str, Any]]:
        """What was tried, best first: score, spread over folds, seconds, share of the answer, and what went wrong."""
        check_is_fitted(self, "members_")
        return self.board_

    def save(self, path: str | Path) -> Path:
        """Write what answers to a file that `load_auto` reads, by skops: nothing in it can be executed."""
        check_is_fitted(self, "members_")
        return save_auto(self, path)

    @property
    def _outputs(self) -> int:
        return len(self.classes_) if self.classification else 0

    def _check_options(self) -> None:
        if self.time_limit is None and self.trials is None:
            raise UserError("Neither time_limit nor trials says when to stop; give one of them.")
        for name in ("time_limit", "trials", "jobs"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} is {value}; it must be above 0.")

    def _targets(self, y: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _search(self, work: Work, metric: Metric, store: Store, began: float) -> Search:
        about = {"kind": kind_of(self.classification), "metric": self.metric_, "version": VERSION}
        name = f"{about['kind']}-{work.fingerprint(repr(about))}"
        features = features_of(work, seconds=UNHURRIED if self.time_limit is None else DESCRIBING * self.time_limit)
        table = past(self.classification, self.metric_, store.storage, but=name)
        return Search(
            name,
            work,
            Space(settings_of(self.classification)),
            metric,
            store=store,
            sampler=lambda trials: sampler_for(table, self.learner, features, seed=self.seed + trials),
            plain=plain(self.classification),
            about=about | {"rows": len(work.y), "meta_features": features},
            seconds=self.time_limit,
            trials=self.trials,
            jobs=self.jobs,
            tell=self.tell,
            began=began,
        )

    def _answers(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "members_")
        x = self.reader_.transform(validate_data(self, X, dtype=None, ensure_all_finite="allow-nan", reset=False))
        codes = np.arange(self._outputs) if self.classification else None
        return np.sum([share * answers_of(model, x, codes) for share, model in self.members_], axis=0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.non_deterministic = self.time_limit is not None
        return tags


class AutoClassifier(ClassifierMixin, Auto):
    """Finds pipelines for a table of labelled rows, and answers with a mixture of the best.

    Pipelines are those of scikit-learn: linear, neighbours, support vectors, nets, forests, boosting, Gaussian classes,
    each with the scaling and the filling of gaps that it needs. Which is tried next is said by a learner of selection
    that knows how pipelines did on past data sets (`MetaSampler`). Every trial is cross-validated in a process of its
    own, so that one which fails or hangs costs its share of the time and no more; its held-out answers teach the
    weights of the mixture (`cross_fitted_weights`), whose parts are then refitted to all rows.

    Args:
        time_limit: seconds for all of `fit`, those of earlier searches included that it goes on with; None if `trials`
            says when to stop.
        trials: how many pipelines at most. With `time_limit=None` the result depends on nothing but data and seed.
        scoring: 'accuracy', 'balanced_accuracy' or 'd2_log_loss'; the first if None.
        folds: of the cross-validation.
        jobs: how many pipelines at once, each on one core.
        store: a folder that keeps all trials. `fit` on the same data goes on with them, also after a kill; on other
            data it knows what was good on these. None keeps nothing.
        learner: of selection.
        seed: of folds, pipelines and search.
        tell: called with a `Progress` after every trial.

    Attributes:
        classes_: (classes,) sorted labels.
        score_: of the mixture, by the metric `metric_`, on rows that neither pipelines nor weights had seen.
        members_: (share, fitted pipeline) each.

    Raises:
        UserError: a target with one class or with gaps, columns that tell nothing; the message says what to change.
        TrainingStopped: no pipeline was ready in time.
    """

    classification = True

    def _targets(self, y: np.ndarray) -> np.ndarray:
        missing = sum(label is None or label != label for label in y) if y.dtype.kind == "O" else 0
        if missing:
            raise BadExamples(f"{missing:,} of {len(y):,} labels are missing; leave these rows out.")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise NotEnoughExamples(f"All {len(y):,} labels are of one class, '{self.classes_[0]}'; give rows of two.")
        return codes.astype(np.int64)

    def predict_proba(self, X: Any) -> np.ndarray:
        """(q, classes) probabilities."""
        return self._answers(X)

    def predict(self, X: Any) -> np.ndarray:
        """(q,) labels."""
        best = self._answers(X).argmax(1)
        return self.classes_[best]


class AutoRegressor(RegressorMixin, Auto):
    """Finds pipelines for a table of rows with a number each, and answers with a weighted mean of the best.

    Args:
        scoring: 'r2' or 'd2_absolute_error'; the first if None. The others are as of `AutoClassifier`.
    """

    classification = False

    def _targets(self, y: np.ndarray) -> np.ndarray:
        try:
            numbers = y.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise BadExamples(f"A regression needs numbers: {error}. AutoClassifier takes labels.") from error
        if not np.isfinite(numbers).all():
            raise BadExamples(f"{np.isnan(numbers).sum():,} of {len(y):,} targets are missing; leave them out.")
        self.mean_, self.scale_ = float(numbers.mean()), float(numbers.std()) or 1.0
        return (numbers - self.mean_) / self.scale_

    def predict(self, X: Any) -> np.ndarray:
        """(q,) numbers."""
        scaled = self._answers(X)[:, 0]
        return self.mean_ + self.scale_ * scaled
