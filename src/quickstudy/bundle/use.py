"""A learner out of a folder: examples in, a state with its envelope out; queries in, answers with names out."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..encoders.protocol import Encoder
from ..errors import BadExamples, BadFile
from ..learner import Learner
from ..outputs import Gaussian, Output, central
from ..pytree import tree_leaves
from ..rng import Rng
from ..state import Envelope
from ..task import Examples, check_examples
from ..tasks.pool import Pool
from .answers import Answers
from .inputs import encoder_of, is_encoded, numbers, raw


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A learner that can be used, and what is known about it.

    Args:
        learner: in evaluation mode; whoever trains it further has another learner, which this bundle does not describe.
        recipe: tables that `Recipe.of` reads, as far as they are known; [learner] always is.
        result: how it was judged, as JSON holds it; None if it was not.
        about: format, quickstudy, created, input (feature, kind and, where they are known, modality, encoder, columns
            and classes), weights and, if kept, trained_on.
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

    @property
    def modality(self) -> str | None:
        """What its encoder reads: 'image', 'text', 'molecule', 'features' or 'series'; None where it has none."""
        return str(self.about["input"]["modality"]) if "encoder" in self.about["input"] else None

    @property
    def columns(self) -> dict[str, str | list[str]]:
        """Role (label, text, image, smiles, id_, when, values, ...) -> column(s) of the tables that it was made for."""
        return dict(self.about["input"].get("columns", {}))

    @functools.cached_property
    def encoder(self) -> Encoder | None:
        """What makes numbers of raw inputs, made when it is first asked for; None where nothing does.

        Raises:
            UserError: what it needs is not on this machine.
            BadFile: it is damaged, or gives other features here.
        """
        table = self.about["input"].get("encoder")
        return None if table is None else encoder_of(table, self.feature)

    @functools.cached_property
    def identity(self) -> str:
        """The hash of all that its states depend on: the weights and, where there is one, the encoder."""
        weights = str(self.about["weights"]["sha256"])
        if "encoder" not in self.about["input"]:
            return weights
        # Learners without weights differ by what they look at alone.
        text = json.dumps([weights, self.about["input"]["encoder"]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def encode(self, x: Any) -> Tensor:
        """(n, *feature) numbers as the learner takes them, of raw inputs or of numbers.

        Args:
            x: (n, *feature) uint8 (0..255, scaled to 0..1) or floating; or what the bundle's encoder reads: a list of
                texts, of files or arrays of images, of SMILES, of series (length, channels), or `Columns`.

        Raises:
            BadInputs: raw inputs that cannot be encoded, by row.
            BadExamples: something else.
        """
        if "encoder" in self.about["input"] and not is_encoded(x, self.feature):
            assert self.encoder is not None
            x = raw(self.encoder, x)
        return numbers(x, self._dtype)

    @torch.no_grad()
    def adapt(
        self, x: Any, labels: Any, *, descriptions: Mapping[str, Any] | None = None, rng: Rng | None = None
    ) -> tuple[Any, Envelope]:
        """The state that has learned from examples, and the envelope that says what its answers mean.

        Args:
            x: n inputs, raw or numbers (see `encode`). None for no examples, where all classes are described.
            labels: n of any kind for classification, whose names are kept; n or (n, d) numbers for regression.
            descriptions: name of a class -> its description, (n, d) numbers, for learners that read them: these are
                the classes then, with or without examples.
            rng: for learners that draw random numbers; a fixed key when None.

        Raises:
            BadExamples: shapes, types or values that cannot be learned from.
        """
        names, support, description = self.support(x, labels, descriptions=descriptions)
        try:
            state = self.learner.adapt(support, description, rng=rng or (Rng(0) if self.learner.stochastic else None))
        except (IndexError, RuntimeError, ValueError) as error:
            what = f"{len(support)} examples{f' of {len(names)} classes' if names else ''}"
            reason = str(error).partition("\n")[0]
            raise BadExamples(f"{type(self.learner).__name__} cannot learn from {what}: {reason}") from error
        return state, self.envelope(state, names)

    def support(
        self, x: Any, labels: Any, *, descriptions: Mapping[str, Any] | None = None
    ) -> tuple[tuple[str, ...], Examples, Tensor | None]:
        """What `adapt` hands to the learner: the names of the classes, the examples, and the classes' descriptions.

        Args and raises as `adapt`.
        """
        x = torch.zeros(0, *self.feature, dtype=self._dtype) if x is None else self.encode(x)
        names, description = self._described(descriptions)
        if self.kind == "regression":
            support = Examples(x, self._targets(labels))
        elif description is not None:
            support = Examples(
                x, _numbered(labels, names, "which has no description; describe it too"), ways=len(names)
            )
        elif self.fixed:
            names = self.fixed
            what = f"and this learner knows {', '.join(names)} alone; rename it, or leave it out"
            support = Examples(x, _numbered(labels, names, what), ways=len(names))
        else:
            pool = Pool.of(x, labels)
            names, support = pool.classes, Examples(x, pool.y, ways=len(pool.classes))
        check_examples(support, feature=self.feature, may_be_empty=description is not None)
        return names, support, description

    def envelope(self, state: Any, names: tuple[str, ...]) -> Envelope:
        """What the answers of a state mean that was learned from classes of these names.

        Raises:
            BadExamples: the learner diverged.
        """
        if any(bool(torch.isnan(leaf).any()) for leaf in tree_leaves(state) if isinstance(leaf, Tensor)):
            raise BadExamples(
                f"{type(self.learner).__name__} diverged on these examples; check the scale of the inputs."
            )
        return Envelope(self.identity, names, self.kind, self.feature)

    @torch.no_grad()
    def predict(self, state: Any, envelope: Envelope, x: Any) -> Answers:
        """Answers to q queries, raw or numbers, which depend on each other only where the learner is transductive.

        Raises:
            BadFile: the state is another learner's.
            BadExamples: inputs of the wrong shape or type, or answers that are not numbers.
        """
        self.check(envelope)
        x = self.encode(x)
        check_examples(Examples(x, torch.zeros(len(x), 1)), what="query", feature=self.feature)
        return self.answers(self.learner.predict(state, x), envelope)

    def answers(self, given: Output, envelope: Envelope) -> Answers:
        """What the learner's output for q queries means.

        Raises:
            BadExamples: it is not numbers, or too few of them.
        """
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

    def check(self, envelope: Envelope) -> None:
        """That a state was made with this bundle.

        Raises:
            BadFile: it was made with another.
        """
        if envelope.learner != self.identity:
            raise BadFile(
                f"This state was made by the learner {envelope.learner[:12]}, but the bundle holds"
                f" {self.identity[:12]}: use the bundle that it was made with, or adapt again."
            )

    @property
    def fixed(self) -> tuple[str, ...]:
        """The classes of all tasks, for a learner to which a class is what its number was in training."""
        return () if self.learner.class_equivariant else tuple(self.about["input"].get("classes", ()))

    def _described(self, descriptions: Mapping[str, Any] | None) -> tuple[tuple[str, ...], Tensor | None]:
        """Names of the classes that are described, and their descriptions (ways, *d)."""
        if descriptions is None:
            return (), None
        if not self.learner.zero_shot:
            raise BadExamples(f"{type(self.learner).__name__} does not read descriptions; give it examples alone.")
        shapes = {tuple(np.shape(d)) for d in descriptions.values()}
        if len(shapes) != 1:
            raise BadExamples(f"Descriptions must be of one shape, but these are shaped {sorted(shapes)}.")
        return tuple(descriptions), numbers(np.stack([np.asarray(d) for d in descriptions.values()]), self._dtype)

    def _targets(self, labels: Any) -> Tensor:
        try:
            y = torch.as_tensor(np.asarray(labels, dtype=np.float64)).to(self._dtype)
        except (TypeError, ValueError) as error:
            raise BadExamples(f"Targets of a regression are numbers, n or (n, d) of them: {error}.") from error
        return y.unsqueeze(-1) if y.dim() == 1 else y

    @property
    def _dtype(self) -> torch.dtype:
        return next((p.dtype for p in self.learner.parameters()), torch.float32)


def _numbered(labels: Any, names: Sequence[str], otherwise: str) -> Tensor:
    """(n,) which of the classes that are known each label names."""
    values = labels.tolist() if isinstance(labels, np.ndarray | Tensor) else list(labels)
    unknown = sorted({str(v) for v in values} - set(names))
    if unknown:
        raise BadExamples(f"There are examples of '{unknown[0]}', {otherwise}.")
    number = {name: i for i, name in enumerate(names)}
    return torch.tensor([number[str(v)] for v in values], dtype=torch.int64)
