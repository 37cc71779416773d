"""Proto-MAML (Triantafillou et al. 2020, arXiv:1903.03096): MAML whose last layer begins as the prototypes say."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UnknownName
from ...functional.batch_norm import call
from ...functional.inner_loop import Weights, inner_loop
from ...functional.prototypes import class_sums
from ...learner import criterion
from ...rng import Rng
from ...task import Examples
from .fast_weights import FastWeights, MovesWeights, check_policy, chosen, finish
from .rules import SGD

MOVES = ("all", "head")


class ProtoMAML(MovesWeights):
    """Prototypical networks that go on by gradient descent.

    The head begins with weights 2p and bias -|p|^2 for a prototype p, so that before the first step its logits are
    those of a prototypical network, but for a term that all classes share. Unlike MAML it therefore serves any number
    of classes and knows no order of them; unlike a prototypical network its encoder moves too. The meta-gradient goes
    through the prototypes.

    Its state holds the weights that moved, under the names of a net made of `encoder` and `head`.

    Args:
        encoder: (n, *feature) -> (n, d).
        steps: inner steps in training.
        lr: inner rate.
        moves: 'all', or 'head' to leave the encoder as it is.
        test_steps: inner steps in evaluation; as in training when None.
        statistics: what batch norm uses: 'support' (inductive), 'batch' (transductive) or 'running', as in MAML.

    Raises:
        UnknownName: `moves` or `statistics` is none of these.

    >>> learner = ProtoMAML(nn.Linear(2, 2), steps=3)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1), sorted(state.weights)
    (tensor([1, 0]), ['encoder.bias', 'encoder.weight', 'head.bias', 'head.weight'])
    """

    kinds = ("classification",)
    class_equivariant = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        steps: int = 5,
        lr: float = 0.01,
        moves: str = "all",
        test_steps: int | None = None,
        statistics: str = "support",
    ):
        super().__init__()
        if moves not in MOVES:
            raise UnknownName.among("part to move", moves, MOVES)
        self.net, self.steps, self.lr, self.moves = encoder, steps, lr, moves
        self.test_steps, self.statistics = test_steps, statistics
        self.names = chosen(encoder, "all") if moves == "all" else ()
        self.rule = SGD(lr)
        check_policy(encoder, statistics)

    @property
    def encoder(self) -> nn.Module:
        """The net, under the name that it has as an argument."""
        return self.net

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng
        parameters = dict(self.net.named_parameters())
        encoder = {f"encoder.{name}": parameters[name] for name in self.names}
        policy = "batch" if self.policy == "support" else self.policy
        embedded = call(self.net, {}, support.x, policy=policy)

        def loss(weights: Weights, step: int) -> Tensor:
            del step
            moved = call(self.net, _encoder(weights), support.x, policy=policy) if self.names else embedded
            return criterion(_logits(weights, moved), support)

        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        weights = inner_loop(loss, encoder | head(embedded, support), self.rule, steps=steps)
        statistics = finish(self.net, _encoder(weights), support.x, self.policy).statistics
        return FastWeights(weights, statistics)

    def predict(self, state: FastWeights, x: Float[Tensor, q * feature]) -> Float[Tensor, "q ways"]:
        encoder, statistics = _encoder(state.weights), state.statistics or None
        return _logits(state.weights, call(self.net, encoder, x, statistics=statistics, policy=self.policy))


def head(embedded: Float[Tensor, "n d"], support: Examples) -> Weights:
    """The linear layer that answers as the nearest prototype; -inf is the bias of a class without examples."""
    assert support.ways is not None
    sums, counts = class_sums(embedded, support.y, support.ways, support.mask)
    means = sums / counts.clamp(min=1).unsqueeze(-1)
    # No step moves a bias of -inf, since the class has probability 0 and no example.
    bias = torch.where(counts > 0, -means.square().sum(-1), -torch.inf)
    return {"head.weight": 2 * means, "head.bias": bias}


def _encoder(weights: Weights) -> Weights:
    """The encoder's own part of the weights, under its own names."""
    prefix = "encoder."
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def _logits(weights: Weights, embedded: Tensor) -> Tensor:
    return F.linear(embedded, weights["head.weight"], weights["head.bias"])
