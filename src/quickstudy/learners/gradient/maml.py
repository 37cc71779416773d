"""MAML (Finn et al. 2017, arXiv:1703.03400): an initialisation from which a few gradient steps solve a task."""

from __future__ import annotations

from torch import Tensor, nn

from ...functional.inner_loop import Weights, inner_loop
from ...rng import Rng
from ...task import Examples
from .fast_weights import FastWeights, MovesWeights, check_policy, chosen, finish
from .rules import SGD


class MAML(MovesWeights):
    """Learn where gradient descent should begin, by differentiating through it.

    Unlike Reptile it looks ahead: the outer gradient is that of the query loss after the inner steps, exactly, or with
    `first_order=True` taking each inner gradient as a constant (FOMAML). With `moves='head'` only the last layer adapts
    (ANIL, Raghu et al. 2020, arXiv:1909.09157).

    Args:
        net: (n, *feature) -> (n, ways) logits or (n, d) predictions; any module, used as it is.
        steps: inner steps in training.
        lr: inner rate.
        learn_lr: learn one rate for each tensor that moves, beginning at `lr`.
        first_order: leave out second derivatives.
        moves: 'all', 'head', or how the names of the parameters that move begin.
        test_steps: inner steps in evaluation; as in training when None.
        statistics: what batch norm uses. 'support' is inductive: queries are normalised as the support set is;
            'batch' is the published protocol, transductive: queries are normalised together; 'running' is for nets
            whose running statistics come from elsewhere.

    Raises:
        UserError: `moves` names no parameter.

    >>> import torch
    >>> learner = MAML(nn.Linear(1, 1), steps=3, lr=0.1)
    >>> state = learner.adapt(Examples(torch.ones(4, 1), 2 * torch.ones(4, 1)))
    >>> sorted(state.weights)
    ['bias', 'weight']
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        steps: int = 5,
        lr: float = 0.1,
        learn_lr: bool = False,
        first_order: bool = False,
        moves: str = "all",
        test_steps: int | None = None,
        statistics: str = "support",
    ):
        super().__init__()
        self.net, self.steps, self.lr, self.learn_lr = net, steps, lr, learn_lr
        self.first_order, self.moves, self.test_steps, self.statistics = first_order, moves, test_steps, statistics
        self.names = chosen(net, moves)
        self.rule = SGD(lr, self.names if learn_lr else ())
        self.meta_gradient = "surrogate" if first_order else "exact"
        check_policy(net, statistics)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng
        parameters = dict(self.net.named_parameters())
        weights: Weights = {name: parameters[name] for name in self.names}
        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        weights = inner_loop(
            lambda w, step: self.loss_on(support, w), weights, self.rule, steps=steps, first_order=self.first_order
        )
        return finish(self.net, weights, support.x, self.policy)
