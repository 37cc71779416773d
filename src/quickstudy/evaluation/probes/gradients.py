"""Probes of the meta-gradient, for a learner in float64."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from ...engine.backward import Backward
from ...engine.mapping import NotVectorised
from ...engine.plan import Plan
from ...learner import Learner
from ...rng import Rng
from ...task import Task, stack
from .finding import Finding, inapplicable

KEY = Rng(0, ("gradients",))
DIRECTIONS = 5
STEPS = (1e-4, 1e-5, 1e-6)


def _objective(learner: Learner, tasks: Task) -> Tensor:
    return learner.loss(tasks, rng=KEY).objective.mean()


def _gradient(learner: Learner, tasks: Task) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters that train, and their gradients."""
    parameters: list[Tensor] = [p for p in learner.parameters() if p.requires_grad]
    objective = _objective(learner, tasks)
    if not objective.requires_grad:
        return parameters, [torch.zeros_like(p) for p in parameters]
    found = torch.autograd.grad(objective, parameters, allow_unused=True)
    return parameters, [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def meta_gradient(learner: Learner, tasks: Sequence[Task], limit: float = 1e-6) -> Finding:
    """The gradient of the objective against central differences, along random directions."""
    name = "meta-gradient"
    if learner.meta_gradient != "exact":
        return inapplicable(name, f"declared '{learner.meta_gradient}', so it is not that of the objective")
    learner = copy.deepcopy(learner).train()
    batch = stack(tasks)
    parameters, gradients = _gradient(learner, batch)
    errors = []
    for i in range(DIRECTIONS):
        generator = KEY.at("direction", i).generator()
        way = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
        claimed = float(sum((g * v).sum() for g, v in zip(gradients, way, strict=True)))
        # Where a ReLU has its kink within a step there is no derivative to compare with: hence several steps, and the
        # median of the directions. A wrong gradient is wrong along nearly all of them.
        found = [_slope(learner, batch, parameters, way, step) for step in STEPS]
        errors.append(min(abs(f - claimed) / max(abs(f), abs(claimed), 1e-12) for f in found))
    error = sorted(errors)[DIRECTIONS // 2]
    says = (
        f"relative error {error:.1e} against finite differences (median of {DIRECTIONS} directions, limit {limit:.0e})"
    )
    return Finding(name, error < limit, says, error, limit)


@torch.no_grad()
def _slope(learner: Learner, tasks: Task, parameters: list[Tensor], way: list[Tensor], step: float) -> float:
    """The slope of the objective along a direction, by central difference."""
    start = [p.clone() for p in parameters]
    values = []
    for sign in (1, -1):
        for p, s, v in zip(parameters, start, way, strict=True):
            p.copy_(s + sign * step * v)
        values.append(float(_objective(learner, tasks)))
    for p, s in zip(parameters, start, strict=True):
        p.copy_(s)
    return (values[0] - values[1]) / (2 * step)


def looped_and_vectorised(learner: Learner, tasks: Sequence[Task], limit: float = 1e-10) -> Finding:
    """A meta-batch looped over against the same vectorised, and traced where it can be: objectives and gradient."""
    name = "looped equals vectorised"
    if learner.joint or learner.stochastic:
        why = (
            "embeds all tasks of a batch at once"
            if learner.joint
            else "draws random numbers, so it is always looped over"
        )
        return inapplicable(name, why)
    batch, count = stack(tasks), len(tasks)
    looped, _ = _step(learner, batch, Plan("loop", 1, "contract"))
    worst, traced = 0.0, "not traced (nothing trains it by gradients)"
    ways = [Plan("vmap", count, "contract")]
    if learner.meta_gradient != "none":
        ways += [Plan("flat", count, "contract"), Plan("flat", 1, "contract", 2)]
    for plan in ways:
        found, refused = _step(learner, batch, plan)
        if plan.how == "flat":
            traced = f"not traced ({refused})" if refused else "traced too"
        worst = max(worst, *(_apart(a, b) for a, b in zip(looped, found, strict=True)))
    says = f"objective and gradient differ by {worst:.1e}, limit {limit:.0e}; {traced}"
    return Finding(name, worst < limit, says, worst, limit)


def _step(learner: Learner, tasks: Task, plan: Plan) -> tuple[list[Tensor], str]:
    """Objectives and the whole gradient of one way, and why it was not traced if it should have been."""
    learner = copy.deepcopy(learner).train()
    learner.plan = plan
    backward = Backward(learner, plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotVectorised)
        objective, metric = backward(tasks, KEY)
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in learner.parameters()]
    return [objective, metric, torch.cat([g.flatten() for g in slopes] or [objective])], backward.refused


def _apart(first: Tensor, second: Tensor) -> float:
    """The largest difference, relative to the largest number: some may be zero but for rounding."""
    return float((first - second).abs().max()) / max(float(first.abs().max()), 1e-12)
