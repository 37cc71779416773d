"""A learner out of a folder: examples in, a state with its envelope out; queries in, answers with names out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BadExamples, BadFile
from ..learner import Learner
from ..outputs import Gaussian, central
from ..pytree import tree_leaves
from ..rng import Rng
from ..state import Envelope
from ..task import Examples, check_examples
from ..tasks.pool import Pool


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a bundle says to some queries; iterating gives (answer, confidence) pairs.

    Args:
        names: one a query; empty for regression.
        probabilities: (q, ways) in the order of the envelope's classes; None for regression.
        values: (q, d) predictions of a regression; None for classification.
        deviations: (q, d) standard deviations of them, where the learner answers with a distribution.
    """

    names: tuple[str, ...] = ()
    probabilities: Tensor | None = None
    values: Tensor | None = None
    deviations: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names) if self.values is None else len(self.values)

    def __iter__(self) -> Iterator[tuple[Any, float]]:
        if self.probabilities is None:
            assert self.values is not None
            return iter([(value, float("nan")) for value in self.values.tolist()])
        return iter(list(zip(self.names, self.probabilities.amax(1).tolist(), strict=True)))


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A learner that can be used, and what is known about it.

    Args:
        learner: in evaluation mode; whoever trains it further has another learner, which this bundle does not describe.
        recipe: tables that `Recipe.of` reads, as far as they are known; [learner] always is.
        result: how it was judged, as JSON holds it; None if it was not.
        about: format, quickstudy, created, input, weights and, if kept, trained_on.
    """

    learner: Learner
    recipe: dict[str, Any]
    result: dict[str, Any] | None
    about: dict[str, Any]

    @property
    def feature(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.about["input"]["feature"])

    @property
    def kind(self) -> str:
        """'classification' or 'regression'."""
        return str(self.about["input"]["kind"])

    @torch.no_grad()
    def adapt(
        self, x: Any, labels: Any, *, descriptions: Mapping[str, Any] | None = None, rng: Rng | None = None
    ) -> tuple[Any, Envelope]:
        """The state that has learned from examples, and the envelope that says what its answers mean.

        Args:
            x: (n, *feature) uint8 (0..255, scaled to 0..1) or floating; tensor or array. None for no examples, where
                all classes are described.
            labels: n of any kind for classification, whose names are kept; n or (n, d) numbers for regression.
            descriptions: name of a class -> its description, typed as `x`, for learners that read them: these are the
                classes then, with or without examples.
            rng: for learners that draw random numbers; a fixed key when None.

        Raises:
            BadExamples: shapes, types or values that cannot be learned from.
        """
        x = torch.zeros(0, *self.feature, dtype=self._dtype) if x is None else self._inputs(x)
        names, description = self._described(descriptions)
        if self.kind == "regression":
            support = Examples(x, self._targets(labels))
        elif description is not None:
            support = Examples(x, _numbered(labels, names), ways=len(names))
        else:
            pool = Pool.of(x, labels)
            names, support = pool.classes, Examples(x, pool.y, ways=len(pool.classes))
        check_examples(support, feature=self.feature, may_be_empty=description is not None)
        try:
            state = self.learner.adapt(support, description, rng=rng or (Rng(0) if self.learner.stochastic else None))
        except (IndexError, RuntimeError, ValueError) as error:
            what = f"{len(x)} examples{f' of {len(names)} classes' if names else ''}"
            reason = str(error).partition("\n")[0]
            raise BadExamples(f"{type(self.learner).__name__} cannot learn from {what}: {reason}") from error
        if any(bool(torch.isnan(leaf).any()) for leaf in tree_leaves(state) if isinstance(leaf, Tensor)):
            raise BadExamples(
                f"{type(self.learner).__name__} diverged on these examples; check the scale of the inputs."
            )
        return state, Envelope(self.about["weights"]["sha256"], names, self.kind, self.feature)

    @torch.no_grad()
    def predict(self, state: Any, envelope: Envelope, x: Any) -> Answers:
        """Answers to queries (q, *feature), which do not depend on each other unless the learner is transductive.

        Raises:
            BadFile: the state is another learner's.
            BadExamples: inputs of the wrong shape or type, or answers that are not numbers.
        """
        if envelope.learner != self.about["weights"]["sha256"]:
            raise BadFile(
                f"This state was made by the learner {envelope.learner[:12]}, but the bundle holds"
                f" {self.about['weights']['sha256'][:12]}: use the bundle that it was made with, or adapt again."
            )
        x = self._inputs(x)
        check_examples(Examples(x, torch.zeros(len(x), 1)), what="query", feature=self.feature)
        given = self.learner.predict(state, x)
        output = central(given)
        ways = len(envelope.classes)
        if output.shape[-1] < ways or bool(torch.isnan(output).any()):
            raise BadExamples(
                f"{type(self.learner).__name__} gives {output.shape[-1]} answers for {ways} classes, NaN among them:"
                f" {bool(torch.isnan(output).any())}; adapt again, to other examples or to fewer classes."
            )
        if envelope.kind == "regression":
            return Answers(values=output, deviations=given.variance.sqrt() if isinstance(given, Gaussian) else None)
        # A fixed head may have more outputs than this task has classes.
        probabilities = output[:, :ways].softmax(-1)
        return Answers(tuple(envelope.classes[i] for i in probabilities.argmax(-1).tolist()), probabilities)

    def _inputs(self, x: Any) -> Tensor:
        x = torch.as_tensor(np.asarray(x)) if not isinstance(x, Tensor) else x
        if x.dtype == torch.uint8:
            x = x.to(torch.float32) / 255
        if not x.is_floating_point():
            raise BadExamples(f"Inputs are {x.dtype}; give torch.uint8 (0..255, scaled to 0..1) or floating numbers.")
        if x.dim() == 0:
            raise BadExamples("There is one number where inputs should be; give an array of (n, *feature).")
        return x.to(self._dtype)

    def _described(self, descriptions: Mapping[str, Any] | None) -> tuple[tuple[str, ...], Tensor | None]:
        """Names of the classes that are described, and their descriptions (ways, *d)."""
        if descriptions is None:
            return (), None
        if not self.learner.zero_shot:
            raise BadExamples(f"{type(self.learner).__name__} does not read descriptions; give it examples alone.")
        shapes = {tuple(np.shape(d)) for d in descriptions.values()}
        if len(shapes) != 1:
            raise BadExamples(f"Descriptions must be of one shape, but these are shaped {sorted(shapes)}.")
        return tuple(descriptions), self._inputs(np.stack([np.asarray(d) for d in descriptions.values()]))

    def _targets(self, labels: Any) -> Tensor:
        try:
            y = torch.as_tensor(np.asarray(labels, dtype=np.float64)).to(self._dtype)
        except (TypeError, ValueError) as error:
            raise BadExamples(f"Targets of a regression are numbers, n or (n, d) of them: {error}.") from error
        return y.unsqueeze(-1) if y.dim() == 1 else y

    @property
    def _dtype(self) -> torch.dtype:
        return next((p.dtype for p in self.learner.parameters()), torch.float32)


def _numbered(labels: Any, names: tuple[str, ...]) -> Tensor:
    """(n,) which of the described classes each label names."""
    values = labels.tolist() if isinstance(labels, np.ndarray | Tensor) else list(labels)
    unknown = sorted({str(v) for v in values} - set(names))
    if unknown:
        raise BadExamples(f"There are examples of '{unknown[0]}', which has no description; describe it too.")
    return torch.tensor([names.index(str(v)) for v in values], dtype=torch.int64)
