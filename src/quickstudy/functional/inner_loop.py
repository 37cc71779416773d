"""The one inner loop: k steps of an update rule, differentiable with respect to where they began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

Weights = dict[str, Tensor]


@runtime_checkable
class Rule(Protocol):
    """How gradients move weights. Both functions are pure, so a rule can be mapped over tasks and differentiated."""

    def start(self, weights: Weights) -> Any:
        """What the rule remembers before the first step (a pytree)."""

    def step(self, weights: Weights, gradients: Weights, memory: Any) -> tuple[Weights, Any]:
        """New weights and new memory."""


def inner_loop(
    loss: Callable[[Weights, int], Tensor],
    weights: Weights,
    rule: Rule,
    *,
    steps: int,
    first_order: bool = False,
) -> Weights:
    """Weights after `steps` steps on `loss`.

    The result is differentiable with respect to the first weights and to the rule's own parameters whenever gradients
    are being recorded; under `torch.no_grad()` no graph is kept, however many steps there are.

    Args:
        loss: (weights, number of the step) -> ().
        weights: parameter name -> tensor, only those that move.
        rule: what a gradient does.
        steps: how many.
        first_order: treat each gradient as a constant (FOMAML): the graph then does not grow with the steps.
    """
    memory = rule.start(weights)
    exact = torch.is_grad_enabled() and not first_order
    for number in range(steps):
        with torch.set_grad_enabled(exact):
            gradients = torch.func.grad(loss)(weights, number)
        weights, memory = rule.step(weights, gradients, memory)
    return weights
