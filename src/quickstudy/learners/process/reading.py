"""What learners share that read a support set as a set: labels as vectors, answers as distributions, whole batches."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...engine.joint import embed_together
from ...errors import UserError
from ...functional.batch_norm import call
from ...learner import Learner, Loss, criterion, metric
from ...outputs import Gaussian, Output
from ...rng import Rng
from ...task import Examples, Task


class ReadsSet(Learner):
    """Adapting is one pass over the support set, in any order; a batch of tasks is one pass too, padding and all.

    `write` and `answer` take one task, or a batch with masks: an axis more on every tensor.

    Attributes:
        encoder: (n, *feature) -> (n, inputs).
        inputs: length of an embedding, or of a flattened input where no encoder was given.
        outputs: classes, or length of a target.
        least: standard deviation below which no target is predicted.
    """

    kinds = ("regression", "classification")
    joint = True

    def __init__(self, encoder: nn.Module | None, inputs: int, outputs: int, least: float):
        super().__init__()
        if min(inputs, outputs) < 1 or not least > 0:
            raise UserError(
                f"inputs is {inputs}, outputs {outputs} and least {least}; the first two must be at least 1, the last"
                " above 0."
            )
        self.encoder = nn.Flatten() if encoder is None else encoder
        self.inputs, self.outputs, self.least = inputs, outputs, least

    @abc.abstractmethod
    def write(self, support: Examples) -> Any:
        """The state for a support set whose inputs are embedded already."""

    @abc.abstractmethod
    def answer(self, state: Any, query: Examples) -> Float[Tensor, "*tasks q numbers"]:
        """For each query, embedded already, 2 * outputs numbers that `_output` makes an answer of."""

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Any:
        del description, rng
        if (support.ways or 0) > self.outputs:
            raise UserError(
                f"The task has {support.ways} classes, but {type(self).__name__} answers for {self.outputs}; train one"
                " with more outputs."
            )
        return self.write(dataclasses.replace(support, x=self._embed(support.x)))

    def predict(self, state: Any, x: Float[Tensor, "q ..."]) -> Output:
        # Without labels, which `answer` does not look at.
        query = Examples(self._embed(x), x.new_zeros(x.shape[0], self.outputs))
        return self._output(self.answer(state, query), state.ways)

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        del rng
        tasks = embed_together(self.encoder, tasks)
        tasks = dataclasses.replace(tasks, support=_masked(tasks.support), query=_masked(tasks.query))
        output = self._output(self.read(tasks), tasks.ways)
        objective, score = torch.func.vmap(lambda given, query: (criterion(given, query), metric(given, query)))(
            output, tasks.query
        )
        return Loss(objective, score.detach())

    def read(self, tasks: Task) -> Float[Tensor, "tasks q numbers"]:
        """What `answer` gives for the queries of a batch of embedded tasks, with masks."""
        return self.answer(self.write(tasks.support), tasks.query)

    def labelled(self, examples: Examples) -> Float[Tensor, "*tasks n numbers"]:
        """Embeddings and labels side by side: targets as they are, classes one-hot."""
        y = examples.y if examples.ways is None else F.one_hot(examples.y, self.outputs)
        return torch.cat([examples.x, y.to(examples.x.dtype)], -1)

    def _embed(self, x: Tensor) -> Tensor:
        return call(self.encoder, {}, x, policy="running")

    def _output(self, numbers: Tensor, ways: int | None) -> Output:
        """The first half of the numbers are logits, or means to which the second half gives deviations."""
        first, second = numbers.chunk(2, -1)
        return first if ways is not None else Gaussian(first, (self.least + F.softplus(second)).square())


def real_rows(examples: Examples) -> Bool[Tensor, "*tasks n"]:
    """The mask of examples with embedded inputs, one that is all True where they have none."""
    if examples.mask is not None:
        return examples.mask
    return torch.ones(examples.x.shape[:-1], dtype=torch.bool, device=examples.x.device)


def _masked(examples: Examples) -> Examples:
    return dataclasses.replace(examples, mask=real_rows(examples))
