"""Two learners that answer together, with weights learned across tasks."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...learner import Learner
from ...outputs import Gaussian, Output, central
from ...pytree import pytree, static
from ...rng import Rng
from ...task import Examples


@pytree
class Both:
    """What two learners have learned of one task.

    Args:
        first: state of the first learner.
        second: state of the second.
        count: how many examples they learned from, ().
        ways: classes; None for a regression.
    """

    first: Any
    second: Any
    count: Tensor
    ways: int | None = static(None)


@functools.cache
def _both(first: type, second: type) -> type[Both]:
    """The class for two learners with these states: it says what is inside, so that a saved one can be read again."""
    name = f"Both[{first.__module__}.{first.__qualname__}, {second.__module__}.{second.__qualname__}]"
    return pytree(type(name, (Both,), {"inside": {"first": first, "second": second}, "__module__": __name__}))


class Beside(Learner):
    """Two learners answer, each trusted as far as past tasks bear it out, by how many examples there are.

    Unlike an ensemble the two differ in kind: one that knows its field from many tasks, say, and one that looks at the
    new task alone and gains most from more examples. Their log-probabilities are added with weights exp(a + b log n)
    for n examples; regressions are averaged with weights in that proportion. These two numbers for each learner are all
    that is meta-trained here. Train them on tasks that neither learner was trained on, such as the validation tasks:
    elsewhere the one that knows its tasks by heart would seem worth most. For three learners put one beside a pair.

    Args:
        first: a learner, which stays as it is.
        second: another one, which does so too.

    Raises:
        UserError: no kind of task that both serve; (in predict) answers of different lengths.

    Source: logarithmic opinion pools, Genest and Zidek 1986 (doi:10.1214/ss/1177013825).

    >>> from quickstudy.learners.baseline.linear import LinearProbe
    >>> from quickstudy.learners.baseline.nearest import NearestNeighbour
    >>> learner = Beside(LinearProbe(), NearestNeighbour())
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    def __init__(self, first: Learner, second: Learner):
        super().__init__()
        self.kinds = tuple(kind for kind in first.kinds if kind in second.kinds)
        if not self.kinds:
            raise UserError(
                f"{type(first).__name__} serves {' and '.join(first.kinds)}, {type(second).__name__}"
                f" {' and '.join(second.kinds)}: there is no task that both could answer."
            )
        self.first, self.second, self.State = first, second, _both(first.State, second.State)
        for one in (first, second):
            one.requires_grad_(False).eval()
        self.log_weights = nn.Parameter(torch.full((2,), math.log(0.5)))
        self.growth = nn.Parameter(torch.zeros(2))
        self.class_equivariant = first.class_equivariant and second.class_equivariant
        self.order_sensitive = first.order_sensitive or second.order_sensitive
        self.stochastic = first.stochastic or second.stochastic
        self.zero_shot = first.zero_shot and second.zero_shot
        self.one_by_one = first.one_by_one or second.one_by_one

    @property
    def transductive(self) -> bool:
        return self.first.transductive or self.second.transductive

    def train(self, mode: bool = True) -> Beside:
        """Only the weights are trained."""
        super().train(mode)
        for one in (self.first, self.second):
            one.eval()
        return self

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Both:
        keys = [None if rng is None else rng.at(name) for name in ("first", "second")]
        first = self.first.adapt(support, description, rng=keys[0])
        second = self.second.adapt(support, description, rng=keys[1])
        count = support.x.new_full((), len(support)) if support.mask is None else support.mask.sum()
        return self.State(first, second, count.to(self.log_weights.dtype), support.ways)

    def predict(self, state: Both, x: Float[Tensor, "q ..."]) -> Output:
        first, second = self.first.predict(state.first, x), self.second.predict(state.second, x)
        a, b = central(first), central(second)
        if a.shape != b.shape:
            raise UserError(
                f"The two learners answer with {a.shape[-1]} and {b.shape[-1]} numbers; they must be alike."
            )
        weights = self.log_weights + self.growth * state.count.clamp(min=1).log()
        if state.ways is not None:
            # A class that one of them rules out is ruled out, whatever its weight.
            return weights[0].exp() * a.log_softmax(-1) + weights[1].exp() * b.log_softmax(-1)
        shares = weights.softmax(0)
        mean = shares[0] * a + shares[1] * b
        if not isinstance(first, Gaussian) or not isinstance(second, Gaussian):
            return mean
        apart = shares[0] * (a - mean).square() + shares[1] * (b - mean).square()
        return Gaussian(mean, shares[0] * first.variance + shares[1] * second.variance + apart)

    def update(self, state: Both, examples: Examples) -> Both:
        first, second = self.first.update(state.first, examples), self.second.update(state.second, examples)
        more = len(examples) if examples.mask is None else examples.mask.sum()
        return dataclasses.replace(state, first=first, second=second, count=state.count + more)
