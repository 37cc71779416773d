"""Generated initialisations: a network reads the support set and says where gradient descent should begin."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.batch_norm import call
from ...functional.inner_loop import Weights, inner_loop
from ...rng import Rng
from ...task import Examples
from .fast_weights import FastWeights, MovesWeights, check_policy, chosen, finish
from .rules import SGD


class Generated(MovesWeights):
    """MAML from an initialisation that is made for the task.

    The examples are read as a set of (x, y) pairs, whose mean says how far each unit's incoming weights are scaled and
    its bias is moved; k inner steps follow, and the meta-gradient goes through them all. The generator's last layer
    begins at zero, so training begins as plain MAML. Unlike MAML one net serves tasks of several modes; with `steps=0`
    nothing is left but the reading: a hyper-network that adapts in one forward pass.

    Args:
        net: (n, *feature) -> (n, outputs) logits or predictions.
        reader: (n, *feature) -> (n, width), reads the inputs of the support set.
        outputs: the number of classes, or the length of a target.
        width: of the reader's answers and of the generator's layers.
        steps: inner steps in training.
        lr: inner rate.
        moves: 'all', 'head', or how the names of the parameters begin that are generated and move.
        test_steps: inner steps in evaluation; as in training when None.
        statistics: what batch norm uses: 'support' (inductive), 'batch' (transductive) or 'running', as in MAML. The
            reader sees the support set alone.

    Raises:
        UserError: `moves` names no parameter, or outputs or width are below 1; later, a reader of another width.

    Source: modulation by a set encoder as in MMAML (Vuorio et al. 2019, arXiv:1910.13616); a generated start that steps
    go on from as in LEO (Rusu et al. 2019, arXiv:1807.05960).

    >>> import torch
    >>> learner = Generated(nn.Linear(1, 1), nn.Linear(1, 8), outputs=1, width=8, steps=1)
    >>> state = learner.adapt(Examples(torch.ones(4, 1), 2 * torch.ones(4, 1)))
    >>> sorted(state.weights)
    ['bias', 'weight']
    """

    def __init__(
        self,
        net: nn.Module,
        reader: nn.Module,
        *,
        outputs: int,
        width: int = 64,
        steps: int = 1,
        lr: float = 0.1,
        moves: str = "all",
        test_steps: int | None = None,
        statistics: str = "support",
    ):
        super().__init__()
        if outputs < 1 or width < 1:
            raise UserError(f"outputs is {outputs} and width {width}; both count numbers, so give at least 1.")
        self.net, self.reader, self.outputs, self.width = net, reader, outputs, width
        self.steps, self.lr, self.moves = steps, lr, moves
        self.test_steps, self.statistics = test_steps, statistics
        self.names = chosen(net, moves)
        self.rule = SGD(lr)
        check_policy(net, statistics)
        parameters = dict(net.named_parameters())
        self.units = tuple(len(parameters[name]) if parameters[name].dim() else 1 for name in self.names)
        self.labels = nn.Linear(outputs, width)
        self.pairs = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        last = nn.Linear(width, sum(self.units))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.generator = nn.Sequential(nn.Linear(width, width), nn.ReLU(), last)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng
        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        weights = inner_loop(lambda w, step: self.loss_on(support, w), self.generated(support), self.rule, steps=steps)
        return finish(self.net, weights, support.x, self.policy)

    def generated(self, support: Examples) -> Weights:
        """Where the inner steps begin on this support set."""
        parameters = dict(self.net.named_parameters())
        parts = self.generator(self.read(support)).split(self.units)
        return {name: modulated(parameters[name], part) for name, part in zip(self.names, parts, strict=True)}

    def read(self, support: Examples) -> Float[Tensor, " width"]:
        """The mean over the examples of what each says; padding says nothing."""
        policy = "running" if self.statistics == "running" else "batch"
        inputs = call(self.reader, {}, support.x, policy=policy)
        if inputs.shape != (support.y.shape[0], self.width):
            raise UserError(
                f"The reader makes {tuple(inputs.shape)} of {len(support)} inputs, but width={self.width} asks for"
                f" {(len(support), self.width)}; set width to the length of the reader's answers."
            )
        y = support.y if support.ways is None else F.one_hot(support.y, self.outputs)
        said = self.pairs(inputs + self.labels(y.to(inputs.dtype)))
        if support.mask is None:
            return said.mean(0)
        real = support.mask.to(said.dtype).unsqueeze(-1)
        return (said * real).sum(0) / real.sum().clamp(min=1)


def modulated(weight: Tensor, by: Float[Tensor, " units"]) -> Tensor:
    """A weight with the row of each unit scaled by 1 + `by`; a bias, or the factors of a norm, moved by it.

    >>> import torch
    >>> modulated(torch.ones(2, 3), torch.tensor([0.0, 1.0]))
    tensor([[1., 1., 1.],
            [2., 2., 2.]])
    """
    if weight.dim() < 2:
        return weight + by.view_as(weight)
    return weight * (1 + by).view(-1, *(1,) * (weight.dim() - 1))
