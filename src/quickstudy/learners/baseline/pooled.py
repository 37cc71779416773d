"""One network for all tasks: what there is to gain without adapting (the pre-training baseline of MAML's sinusoids)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...functional.batch_norm import call
from ...functional.inner_loop import Weights, inner_loop
from ...functional.precision import run
from ...learner import Loss, criterion, metric
from ...rng import Rng
from ...task import Examples, Task, batch_size, take, trim
from ..gradient.fast_weights import FastWeights, answer
from ..gradient.rules import fixed_rule
from .steps import StepsInAdapting


class Pooled(StepsInAdapting):
    """A network trained on the examples of all tasks together; it may be fine-tuned on the support set.

    Unlike MAML it is trained without a thought of the fine-tuning. Where inputs do not tell tasks apart it learns their
    average. Classes have to mean the same in every task: where labels are dealt anew there is nothing to pool.

    Args:
        net: (n, *feature) -> (n, d), or (n, classes).
        steps: of fine-tuning, on all weights; 0 answers as trained.
        lr: rate of the fine-tuning.
        rule: 'sgd' or 'adam'.

    Source: Finn et al. 2017 (arXiv:1703.03400), section 5.1.

    >>> learner = Pooled(nn.Linear(1, 1))
    >>> learner.adapt(Examples(torch.ones(4, 1), 2 * torch.ones(4, 1)))
    FastWeights(weights={}, statistics=())
    """

    State = FastWeights
    kinds = ("classification", "regression")
    meta_gradient = "surrogate"
    joint = True
    iterative = True

    def __init__(self, net: nn.Module, *, steps: int = 0, lr: float = 0.01, rule: str = "sgd"):
        super().__init__()
        self.net, self.steps, self.lr, self.rule = net, steps, lr, rule
        self.descent = fixed_rule(rule, lr)

    @torch.no_grad()
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng

        def loss(weights: Weights, step: int) -> Tensor:
            del step
            return criterion(call(self.net, weights, support.x, policy="running"), support)

        weights: Weights = dict(self.net.named_parameters()) if self.steps else {}
        return FastWeights(inner_loop(loss, weights, self.descent, steps=self.steps))

    def predict(self, state: FastWeights, x: Tensor) -> Tensor:
        return answer(self.net, state, x, "running")

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """Squared error or cross-entropy over support and query of each task, all of them through the net at once."""
        del rng
        each = [trim(take(tasks, i)) for i in range(batch_size(tasks))]
        sides = [task.support.followed_by(task.query) for task in each]
        outputs = run(self.net, torch.cat([side.x for side in sides])).split([len(side) for side in sides])
        objective = [criterion(output, side) for output, side in zip(outputs, sides, strict=True)]
        asked = [metric(output[len(t.support) :], t.query) for output, t in zip(outputs, each, strict=True)]
        return Loss(torch.stack(objective), torch.stack(asked).detach())
