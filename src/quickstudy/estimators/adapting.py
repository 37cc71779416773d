"""What both estimators share: a learner from wherever it is, inputs in its shape, and examples it has not seen."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..bundle import Answers, Bundle, load_bundle
from ..bundle.inputs import number_shape
from ..errors import BadExamples, UserError
from ..learner import Learner
from ..learners.baseline.linear import LinearProbe
from ..state import Envelope, fingerprint
from ..task import Examples
from ..tasks.own.rows import Columns

Learned = tuple[Any, Envelope]  # a state, and what its answers mean

ROWS = 1024  # queries answered at once
TYPES = (np.float64, np.float32, np.uint8)  # of inputs that are taken as they are; all others become the first


@dataclasses.dataclass(frozen=True)
class Unseen:
    """Examples, and a state that was made without them.

    Args:
        x: (m, *feature).
        y: (m,) classes by number, or (m, d) targets.
        learned: from other examples.
    """

    x: Tensor
    y: np.ndarray
    learned: Learned


class FewShot(BaseEstimator):
    """An estimator that adapts a learner; abstract."""

    kind: ClassVar[str]
    bundle: str | Path | Bundle | Learner | None
    folds: int
    bundle_: Bundle

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "state_")

    def _support(self, X: Any, y: Any, *, first: bool, **options: Any) -> tuple[Tensor, np.ndarray]:
        """Examples (n, *feature) and their labels; of the shape met before, unless these are the first."""
        if first:
            self.__dict__.pop("state_", None)  # nothing half old and half new is left if this fails
            whole = isinstance(self.bundle, str | Path | Bundle)
            opened = _opened(self.bundle, self.kind, ()) if whole else None
        else:
            opened = self.bundle_
        flat, given = _flattened(_encoded(X, opened))
        rows, y = validate_data(self, flat, y, reset=first, dtype=TYPES, **options)
        if first:
            self.bundle_ = opened or _opened(self.bundle, self.kind, given or rows.shape[1:])
        return self._shaped(rows, given), y

    def _queries(self, X: Any) -> Tensor:
        check_is_fitted(self)
        flat, given = _flattened(_encoded(X, self.bundle_))
        return self._shaped(validate_data(self, flat, reset=False, dtype=TYPES), given)

    def _shaped(self, rows: np.ndarray, given: tuple[int, ...]) -> Tensor:
        """(n, d) numbers as (n, *feature) in the type of the learner's weights."""
        feature = self.bundle_.feature
        if rows.shape[1] != math.prod(feature) or (given and _long(given) != _long(feature)):
            raise BadExamples(
                f"X has inputs shaped {given or rows.shape[1:]}, but this learner takes {feature}; give them in that"
                f" shape, or flat as {math.prod(feature)} numbers in that order."
            )
        x = torch.tensor(np.ascontiguousarray(rows)).reshape(len(rows), *feature)
        x = x.to(next((p.dtype for p in self.bundle_.learner.parameters()), torch.float32))
        return x / 255 if rows.dtype == np.uint8 else x

    def _keep(self, x: Tensor, y: np.ndarray, learned: Learned) -> None:
        self._x, self._y = x, y
        self._held: list[Unseen] | None = None
        self.state_, self.envelope_ = learned

    @property
    def _learned(self) -> Learned:
        return self.state_, self.envelope_

    @torch.no_grad()
    def _updated(self, examples: Examples) -> Learned | None:
        """What was learned, and then these too; None where the learner can only start again."""
        try:
            return self.bundle_.learner.update(self.state_, examples), self.envelope_
        except NotImplementedError:
            return None

    def _answers(self, learned: Learned, x: Tensor) -> list[Answers]:
        # All queries of a transductive learner belong together.
        size = len(x) if self.bundle_.learner.transductive else ROWS
        return [self.bundle_.predict(*learned, part) for part in x.split(size)]

    def _unseen(self, labels: np.ndarray) -> list[Unseen]:
        """What was given to `calibrate`, or every support example left out once.

        The second is made when it is first asked for, and kept until more is learned.

        Args:
            labels: (n, ...) what the support examples are to be learned as.
        """
        if self.bundle_.learner.transductive:
            raise UserError(
                f"{type(self.bundle_.learner).__name__} answers a query by the other queries too, so what it answers to"
                " some examples does not tell how it answers others; choose an inductive learner."
            )
        if self._held is None:
            self._held = self._left_out(labels)
        return self._held

    def _given(self, labels: np.ndarray) -> np.ndarray:
        """What the user called these labels."""
        return labels

    def _left_out(self, labels: np.ndarray) -> list[Unseen]:
        """Support examples by themselves, or in `folds` parts where there are more of them than that."""
        if self.folds < 2:
            raise UserError(f"folds is {self.folds}; examples are left out in 2 parts or more.")
        n = len(labels)
        if n < 2:
            return []
        part = np.random.default_rng(0).permutation(n) % self.folds
        found = []
        for k in range(min(n, self.folds)):
            out = part == k
            learned = self.bundle_.adapt(self._x[~out], self._given(labels[~out]))
            found.append(Unseen(self._x[out], labels[out], learned))
        return found


def _opened(bundle: Any, kind: str, feature: tuple[int, ...]) -> Bundle:
    """The bundle in a folder, a bundle as it is, or one around a learner (or the default) for inputs of one shape."""
    if isinstance(bundle, str | Path):
        bundle = load_bundle(bundle)
    if isinstance(bundle, Bundle):
        if bundle.kind != kind:
            raise UserError(f"This bundle is for {bundle.kind}, not {kind}; use the other estimator.")
        return bundle
    learner = LinearProbe(normalise=False) if bundle is None else bundle
    if not isinstance(learner, Learner):
        raise UserError(
            f"bundle is {type(bundle).__name__}; give the folder of a bundle, a Bundle, a Learner, or None for logistic"
            " or ridge regression."
        )
    if kind not in learner.kinds:
        raise UserError(f"{type(learner).__name__} serves {' and '.join(learner.kinds)}, not {kind}; choose another.")
    if learner.training or learner.device.type != "cpu":
        learner = copy.deepcopy(learner).cpu().eval()  # whoever goes on training it finds it as it was
    about = {"input": {"feature": feature, "kind": kind}, "weights": {"sha256": fingerprint(learner)}}
    return Bundle(learner, {}, None, about)


def _encoded(X: Any, bundle: Bundle | None) -> Any:
    """Texts, files and whatever else a bundle's encoder reads as numbers; numbers as they are."""
    if bundle is None or bundle.modality is None:
        return X
    shape = number_shape(X)
    raw = isinstance(X, Columns | np.ndarray | list | tuple) if shape is None else len(shape) > 2
    return bundle.encode(X) if raw else X


def _flattened(X: Any) -> tuple[Any, tuple[int, ...]]:
    """Rows as scikit-learn knows them, (n, d), and the shape that each was given in; () where it was flat already."""
    if isinstance(X, Tensor):
        X = X.numpy(force=True)
    # Tables and whatever else scikit-learn can read are two-dimensional; it looks at them itself.
    shape = tuple(np.shape(X)) if isinstance(X, np.ndarray | list | tuple) else ()
    if len(shape) < 3:
        return X, ()
    return np.asarray(X).reshape(shape[0], math.prod(shape[1:])), shape[1:]


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its ones: (28, 28) is as good as (1, 28, 28), but (28, 28, 3) is not (3, 28, 28)."""
    return tuple(n for n in shape if n != 1)
