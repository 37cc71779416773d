"""Searches that learn nothing from their trials: at random, in the order given, or evenly over the space."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import UnknownName
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from .mixture import Mixture
from .surrogate import Surrogate, key_of, trials

ORDERS = ("random", "grid", "quasi-random")


@pytree
class Trials:
    """What was tried, and the key that the next is drawn from.

    Args:
        x: (n, 1 + e) candidates.
        y: (n,) their scores.
        key: () number of a stream.
    """

    x: Tensor
    y: Tensor
    key: Tensor


class Unordered(Surrogate):
    """Bergstra and Bengio 2012 (jmlr.org/papers/v13/bergstra12a): the yardstick that every search has to beat.

    It expects of every candidate what the trials were on average.

    Args:
        order: 'random'; 'grid', candidates in the order in which they are given; or 'quasi-random', the nearest to the
            next point of a scrambled Sobol sequence over the encodings, which leaves no large gaps.

    Raises:
        UnknownName: no such order.

    >>> from quickstudy.task import Examples
    >>> learner = Unordered(order="grid")
    >>> state = learner.adapt(Examples(torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])))
    >>> learner.predict(state, torch.ones(1, 1)).mean, learner.acquire(state, torch.ones(3, 1)).argmax()
    (tensor([[2.]]), tensor(0))
    """

    State = Trials
    stochastic = True

    def __init__(self, *, order: str = "random"):
        super().__init__()
        if order not in ORDERS:
            raise UnknownName.among("order", order, ORDERS)
        self.order = order

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Trials:
        del description
        return Trials(*trials(support), key_of(rng))

    def update(self, state: Trials, examples: Examples) -> Trials:
        x, y = trials(examples)
        return Trials(torch.cat([state.x, x]), torch.cat([state.y, y]), state.key)

    def tried(self, state: Trials) -> Examples:
        return Examples(state.x, state.y.unsqueeze(1))

    def mixture(self, state: Trials, x: Float[Tensor, "q numbers"]) -> Mixture:
        y, one = state.y, state.y.new_ones(1, len(x))
        mean = y.mean() if len(y) else y.new_zeros(())
        variance = y.var() if len(y) > 1 else y.new_ones(())
        return Mixture(one[:, 0].log(), mean * one, 0 * one, variance.clamp(min=1e-12) * one)

    def acquire(self, state: Trials, x: Float[Tensor, "q numbers"], *, kind: str = "regression") -> Float[Tensor, " q"]:
        del kind
        if self.order == "grid":
            return -torch.arange(len(x), dtype=torch.float64)
        if self.order == "random" or x.shape[1] == 1:
            return at_random(state.key, len(state.y), len(x))
        engine = torch.quasirandom.SobolEngine(x.shape[1] - 1, scramble=True, seed=int(state.key) % 2**31)
        point = engine.draw(len(state.y) + 1, dtype=torch.float64)[-1]
        return -(x[:, 1:] - point).square().sum(1)


def at_random(key: Tensor, turn: int, count: int) -> Float[Tensor, " count"]:
    """Uniform numbers that belong to one turn of a search."""
    generator = Rng(int(key), ("turn", turn)).generator()
    return torch.rand(count, generator=generator, dtype=torch.float64)
