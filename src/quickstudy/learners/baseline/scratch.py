"""The same network without meta-learning: trained on the support set alone, from a random beginning."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ...errors import UserError
from ...functional.inner_loop import Weights, inner_loop
from ...rng import Rng, forked
from ...task import Examples
from ..gradient.fast_weights import FastWeights, MovesWeights, check_policy, finish
from ..gradient.rules import fixed_rule
from .steps import StepsInAdapting


class FromScratch(StepsInAdapting, MovesWeights):
    """Gradient descent on the support set from a fresh initialisation, drawn once and the same for all tasks.

    Unlike MAML and Reptile its beginning has met no task; what they gain over it is what meta-training is worth.

    Args:
        net: (n, *feature) -> (n, ways) logits or (n, d) predictions. It is copied and begun anew, so a net that is
            trained already is left alone, and helps in nothing.
        steps: over the whole support set.
        lr: rate of the rule.
        rule: 'adam' or 'sgd'.
        statistics: what batch norm uses, as in MAML: 'support' (inductive) or 'batch' (transductive).
        seed: of the initialisation.

    Raises:
        UserError: a layer with parameters cannot be begun anew, as it has no `reset_parameters`.

    >>> learner = FromScratch(nn.Linear(1, 1), steps=200, lr=0.1)
    >>> state = learner.adapt(Examples(torch.ones(4, 1), 2 * torch.ones(4, 1)))
    >>> round(learner.predict(state, torch.ones(1, 1)).item(), 2)
    2.0
    """

    meta_gradient = "none"

    def __init__(
        self,
        net: nn.Module,
        *,
        steps: int = 100,
        lr: float = 0.01,
        rule: str = "adam",
        statistics: str = "support",
        seed: int = 0,
    ):
        super().__init__()
        self.net = fresh(net, Rng(seed).at("scratch"))
        self.steps, self.lr, self.rule, self.statistics, self.seed = steps, lr, rule, statistics, seed
        self.descent = fixed_rule(rule, lr)
        check_policy(net, statistics)

    @torch.no_grad()
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng
        weights: Weights = dict(self.net.named_parameters())
        weights = inner_loop(lambda w, step: self.loss_on(support, w), weights, self.descent, steps=self.steps)
        return finish(self.net, weights, support.x, self.policy)


def fresh(net: nn.Module, rng: Rng) -> nn.Module:
    """A copy of a net with every layer begun anew.

    Raises:
        UserError: a layer with parameters of its own has no `reset_parameters`.
    """
    net = copy.deepcopy(net)
    with forked(rng):
        for name, module in net.named_modules():
            # The underscore is how torch's attention and transformers spell it.
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if reset is not None:
                reset()
            elif next(module.parameters(recurse=False), None) is not None:
                where = f" ({name})" if name else ""
                raise UserError(
                    f"{type(module).__name__}{where} has parameters but no reset_parameters(), so it cannot be begun"
                    " anew; give it that method."
                )
    return net
