"""Reptile (Nichol et al. 2018, arXiv:1803.02999): move the initialisation towards where tasks take it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...functional.inner_loop import Weights, inner_loop
from ...learner import metric
from ...rng import Rng
from ...task import Examples, Task
from .fast_weights import FastWeights, MovesWeights, check_policy, finish
from .rules import Adam


class Reptile(MovesWeights):
    """Learn where gradient descent should begin, without differentiating through it.

    Unlike MAML it never looks at a query loss: in training it adapts to all examples of a task, and the outer gradient
    is the way back, initial minus adapted weights. With plain SGD as the outer optimizer its rate is the paper's outer
    step size. Memory does not grow with the steps.

    Args:
        net: (n, *feature) -> (n, ways) logits or (n, d) predictions.
        steps: inner steps in training (5 in the paper's 5-way Omniglot).
        lr: inner rate of Adam with beta1 = 0, as in the paper.
        batch: examples an inner step in training; all of them when None.
        test_steps: inner steps in evaluation (50 in the paper).
        test_batch: examples an inner step in evaluation.
        statistics: 'support' (inductive) or 'batch' (transductive), as in MAML.

    >>> learner = Reptile(nn.Linear(1, 1), steps=3)
    >>> state = learner.adapt(Examples(torch.ones(4, 1), 2 * torch.ones(4, 1)))
    """

    meta_gradient = "surrogate"
    order_sensitive = True  # mini-batches are taken from the support set as it comes

    def __init__(
        self,
        net: nn.Module,
        *,
        steps: int = 5,
        lr: float = 1e-3,
        batch: int | None = 10,
        test_steps: int | None = 50,
        test_batch: int | None = 5,
        statistics: str = "support",
    ):
        super().__init__()
        self.net, self.steps, self.lr, self.batch = net, steps, lr, batch
        self.test_steps, self.test_batch, self.statistics = test_steps, test_batch, statistics
        self.rule = Adam(lr, betas=(0.0, 0.999))
        check_policy(net, statistics)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng
        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        return self._descend(support, steps, self.batch if self.training else self.test_batch)

    @torch.no_grad()
    def _descend(self, examples: Examples, steps: int, batch: int | None) -> FastWeights:
        size = min(batch or len(examples), len(examples))

        def loss(weights: Weights, step: int) -> Tensor:
            # Examples arrive in random order, so walking through them in turn is a fair draw, and needs no generator.
            rows = torch.arange(step * size, (step + 1) * size, device=examples.y.device) % len(examples)
            return self.loss_on(examples.select(rows), weights)

        weights = inner_loop(loss, dict(self.net.named_parameters()), self.rule, steps=steps)
        return finish(self.net, weights, examples.x, self.policy)

    def task_loss(self, task: Task, rng: Rng | None = None) -> tuple[Tensor, Tensor]:
        """Half the squared way that the weights went, whose gradient is the way back; metric of the task's queries."""
        del rng
        state = self._descend(task.support.followed_by(task.query), self.steps, self.batch)
        way = [(p - state.weights[name].detach()).square().sum() for name, p in self.net.named_parameters()]
        with torch.no_grad():
            score = metric(self.predict(state, task.query.x), task.query)
        return torch.stack(way).sum() / 2, score
