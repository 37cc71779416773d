"""The one inner loop: k steps of an update rule, and the ways to differentiate through them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_map

from ..errors import UnknownName
from .implicit import implicit

Weights = dict[str, Tensor]
InnerLoss = Callable[[Weights, int], Tensor]  # (weights, number of the step) -> ()

GRADIENTS = ("exact", "checkpointed", "truncated", "first-order", "implicit")


@runtime_checkable
class Rule(Protocol):
    """How gradients move weights. Both functions are pure, so a rule can be mapped over tasks and differentiated."""

    def start(self, weights: Weights) -> Any:
        """What the rule remembers before the first step (a pytree)."""

    def step(self, weights: Weights, gradients: Weights, memory: Any, loss: Tensor) -> tuple[Weights, Any]:
        """New weights and new memory; `loss` is its value () where the gradients were taken."""


def inner_loop(
    loss: InnerLoss,
    weights: Weights,
    rule: Rule,
    *,
    steps: int,
    gradient: str = "exact",
    horizon: int | None = None,
    proximal: float = 0.0,
    solver_steps: int = 5,
) -> Weights:
    """Weights after `steps` steps on `loss`.

    The result is differentiable with respect to the first weights, to whatever else `loss` depends on, and to the
    rule's own parameters whenever gradients are being recorded, in one of these ways (T steps):

    - 'exact': unrolled. Memory grows with T.
    - 'checkpointed': the same numbers; only some sqrt(T) steps are kept, the others are computed again in the backward
      pass. So `loss` must give the same twice. Where torch maps over tasks it is 'exact', since hooks on what autograd
      saves do not exist there.
    - 'truncated': second derivatives of the last `horizon` steps alone; in those before, gradients are constants.
    - 'first-order': in all steps gradients are constants (FOMAML), so the graph does not grow with T.
    - 'implicit': that of the minimum which the steps are taken to have reached (see `functional.implicit`); memory does
      not grow with T. It takes a `proximal` pull and a loss that is the same at every step, and the rule's own
      parameters get no gradient. It cannot be mapped over tasks.

    Under `torch.no_grad()` no graph is kept, whatever the way.

    Args:
        loss: the inner objective.
        weights: parameter name -> tensor, only those that move.
        rule: what a gradient does.
        steps: how many.
        gradient: one of `GRADIENTS`.
        horizon: steps that 'truncated' differentiates through.
        proximal: adds proximal / 2 * |weights - first weights|^2 to the loss.
        solver_steps: of conjugate gradients, for 'implicit'.

    Raises:
        UnknownName: `gradient` is none of them.
    """
    if gradient not in GRADIENTS:
        raise UnknownName.among("gradient of the inner loop", gradient, GRADIENTS)
    if gradient == "checkpointed" and torch.is_grad_enabled() and torch._C._functorch.peek_interpreter_stack() is None:
        return _checkpointed(_pulled(loss, weights, proximal), weights, rule, steps)
    if gradient == "implicit" and torch.is_grad_enabled():
        pulled = _pulled(loss, weights, proximal)
        with torch.no_grad():
            found = inner_loop(pulled, weights, rule, steps=steps)
        return implicit(lambda w: pulled(w, steps), found, solver_steps=solver_steps)
    path = trajectory(loss, weights, rule, steps=steps, gradient=gradient, horizon=horizon, proximal=proximal)
    last = weights
    for last in path:  # noqa: B007  (only the last one is wanted, and no other is kept)
        pass
    return last


def trajectory(
    loss: InnerLoss,
    weights: Weights,
    rule: Rule,
    *,
    steps: int,
    gradient: str = "exact",
    horizon: int | None = None,
    proximal: float = 0.0,
) -> Iterator[Weights]:
    """The weights after every step of `inner_loop`, where `gradient` is 'exact', 'truncated' or 'first-order'."""
    loss = _pulled(loss, weights, proximal)
    constant = {"first-order": steps, "truncated": steps - (horizon or 0)}.get(gradient, 0)
    memory = rule.start(weights)
    for number in range(steps):
        with torch.set_grad_enabled(torch.is_grad_enabled() and number >= constant):
            gradients, value = _slopes(loss, weights, number)
        weights, memory = rule.step(weights, gradients, memory, value)
        yield weights


def _slopes(loss: InnerLoss, weights: Weights, number: int) -> tuple[Weights, Tensor]:
    """The gradients of the loss with respect to the weights, and its value (); with graphs if those are recorded."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return torch.func.grad_and_value(loss)(weights, number)
    # Not torch.func.grad: under it autograd takes no hooks, and its first call loads torch's compiler (75 MB, seconds).
    record = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views, since the loss may depend on the same tensors in other ways too.
        here = {
            n: w.view_as(w) if record and w.requires_grad else w.detach().requires_grad_() for n, w in weights.items()
        }
        value = loss(here, number)
        slopes = torch.autograd.grad(value, list(here.values()), create_graph=record, materialize_grads=True)
    return dict(zip(weights, slopes, strict=True)), value if record else value.detach()


def _pulled(loss: InnerLoss, start: Weights, proximal: float) -> InnerLoss:
    """The loss with a pull back to where the weights began."""
    if not proximal:
        return loss

    def pulled(weights: Weights, number: int) -> Tensor:
        way = torch.stack([(w - start[name]).square().sum() for name, w in weights.items()])
        return loss(weights, number) + proximal / 2 * way.sum()

    return pulled


def _checkpointed(loss: InnerLoss, weights: Weights, rule: Rule, steps: int) -> Weights:
    """The steps in stretches of about sqrt(steps), of which the backward pass holds one at a time."""
    length, latest = max(1, math.isqrt(steps)), _Latest()
    memory = rule.start(weights)
    for first in range(0, steps, length):
        numbers = range(first, min(first + length, steps))
        stretch = _Stretch(partial(_unrolled, loss, rule, numbers), (weights, memory), latest)
        weights, memory = stretch.end(weights, memory)
    return weights


def _unrolled(
    loss: InnerLoss, rule: Rule, numbers: Sequence[int], weights: Weights, memory: Any
) -> tuple[Weights, Any]:
    for number in numbers:
        gradients, value = _slopes(loss, weights, number)
        weights, memory = rule.step(weights, gradients, memory, value)
    return weights, memory


class _Latest:
    """The stretch that was computed again last; a weak reference, so that a graph that is let go takes it along."""

    stretch: weakref.ref[_Stretch] | None = None


class _Stretch:
    """What autograd saves of some steps: kept while they run, then dropped, and computed again when it is asked for.

    Not `torch.utils.checkpoint`, which computes a stretch again for each gradient that is taken inside it.
    """

    def __init__(self, run: Callable[..., Any], arguments: Any, latest: _Latest):
        self.run, self.latest = run, latest
        self.arguments = tree_map(
            lambda a: a.detach().requires_grad_(a.requires_grad) if isinstance(a, Tensor) else a, arguments
        )
        self.kept: list[Tensor] | None = None

    def end(self, *arguments: Any) -> Any:
        """Where the stretch leads to, with a graph but without what that saves."""
        made = self._filled(*arguments)
        self.kept = None
        return made

    def _filled(self, *arguments: Any) -> Any:
        self.kept = []
        with torch.enable_grad(), saved_tensors_hooks(self._pack, self._unpack):
            return self.run(*arguments)

    def _pack(self, tensor: Tensor) -> int:
        assert self.kept is not None
        self.kept.append(tensor.detach())
        return len(self.kept) - 1

    def _unpack(self, number: int) -> Tensor:
        if self.kept is None:
            earlier = None if self.latest.stretch is None else self.latest.stretch()
            if earlier is not None:
                earlier.kept = None
            self.latest.stretch = weakref.ref(self)
            self._filled(*self.arguments)
        assert self.kept is not None
        return self.kept[number]
