"""MAML (Finn et al. 2017, arXiv:1703.03400): an initialisation from which a few gradient steps solve a task."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...engine.mapping import map_tasks
from ...engine.plan import choose
from ...errors import UnknownName, UserError
from ...functional.batch_norm import POLICIES, call
from ...functional.inner_loop import GRADIENTS, InnerLoss, Rule, Weights, inner_loop, trajectory
from ...learner import Loss, criterion, metric
from ...rng import Rng
from ...task import Examples, Task
from .fast_weights import FastWeights, MovesWeights, StepStatistics, answer, chosen, finish
from .learned_rules import rule_named


class MAML(MovesWeights):
    """Learn where gradient descent should begin, and perhaps how it goes on, by differentiating through it.

    Unlike Reptile it looks ahead: the outer gradient is that of the query loss after the inner steps. Three choices are
    free of each other: the rule, what moves, and how the steps are differentiated through. So FOMAML is
    `gradient='first-order'`, ANIL (arXiv:1909.09157) `moves='head'`, Meta-SGD (arXiv:1707.09835) `rule='meta-sgd'`, the
    LSTM meta-learner (openreview rJY0-Kcll) `rule='lstm'` with `gradient='first-order'`, iMAML (arXiv:1909.04630)
    `gradient='implicit'`, and MAML++ (arXiv:1810.09502) `rule='step-rates'` with `multi_step` and
    `statistics='per-step'` (without its norm weights for each step).

    Args:
        net: (n, *feature) -> (n, ways) logits or (n, d) predictions; any module, used as it is.
        rule: 'sgd' or 'adam'; with rates that are learned, 'layer-rates' (one a tensor), 'step-rates' (one a tensor and
            step) or 'meta-sgd' (one a weight); 'lstm'; or a `functional.inner_loop.Rule`.
        lr: inner rate, or where learned rates begin.
        steps: inner steps in training.
        gradient: 'exact', 'checkpointed' (exact, in less memory), 'truncated', 'first-order' or 'implicit'; see
            `functional.inner_loop`.
        horizon: last steps that 'truncated' differentiates through.
        moves: 'all', 'head', or how the names of the parameters that move begin.
        test_steps: inner steps in evaluation; as in training when None.
        statistics: what batch norm uses. 'support' is inductive: queries are normalised as the support set is;
            'batch' is the published protocol, transductive: queries are normalised together; 'per-step' does so in
            training, and uses running statistics of each step in evaluation, so it is inductive; 'running' is for nets
            whose running statistics come from elsewhere.
        multi_step: train on the query loss after every step, the last step weighing more and more.
        multi_step_until: outer steps after which only the last step counts (the paper's ten epochs of 500).
        proximal: pull back to the first weights, proximal / 2 * distance^2 (2 in iMAML).
        solver_steps: of conjugate gradients, for 'implicit'.

    Raises:
        UnknownName: no such rule, gradient or policy.
        UserError: `moves` names no parameter, or options do not go together.

    >>> learner = MAML(nn.Linear(1, 1), steps=3, lr=0.1)
    >>> state = learner.adapt(Examples(torch.ones(4, 1), 2 * torch.ones(4, 1)))
    >>> sorted(state.weights)
    ['bias', 'weight']
    """

    policies = (*POLICIES, "per-step")

    def __init__(
        self,
        net: nn.Module,
        *,
        rule: str | Rule = "sgd",
        lr: float = 0.1,
        steps: int = 5,
        gradient: str = "exact",
        horizon: int | None = None,
        moves: str = "all",
        test_steps: int | None = None,
        statistics: str = "support",
        multi_step: bool = False,
        multi_step_until: int = 5_000,
        proximal: float = 0.0,
        solver_steps: int = 5,
    ):
        super().__init__()
        self.net, self.lr, self.steps, self.test_steps = net, lr, steps, test_steps
        self.gradient, self.horizon, self.proximal, self.solver_steps = gradient, horizon, proximal, solver_steps
        self.moves, self.statistics = moves, statistics
        self.multi_step, self.multi_step_until = multi_step, multi_step_until
        self.names = chosen(net, moves)
        self.descent = rule_named(rule, lr, self._start(), steps) if isinstance(rule, str) else rule
        self._rule = rule if isinstance(rule, str) else ""
        self.meta_gradient = "exact" if gradient in ("exact", "checkpointed") else "surrogate"
        self._check()
        if self.policy == "per-step":
            self.norms = StepStatistics(net, steps)

    @property
    def rule(self) -> str | Rule:
        """The rule, as it was named or handed over."""
        return self._rule or self.descent

    def _check(self) -> None:
        """Stop where options do not go together."""
        if self.gradient not in GRADIENTS:
            raise UnknownName.among("gradient of the inner loop", self.gradient, GRADIENTS)
        if (self.horizon is not None) != (self.gradient == "truncated") or (self.horizon or 0) < 0:
            raise UserError(f"gradient='{self.gradient}' has horizon={self.horizon}; 'truncated' alone has one, >= 0.")
        if self.gradient == "implicit":
            if self.proximal <= 0:
                raise UserError("gradient='implicit' needs a pull to the first weights; give proximal, such as 2.0.")
            if isinstance(self.descent, nn.Module) and any(True for _ in self.descent.parameters()):
                raise UserError(
                    f"gradient='implicit' does not see the steps, so the rule '{self.rule}' would learn nothing; use"
                    " 'sgd' or 'adam'."
                )
        if self.gradient in ("checkpointed", "implicit") and (self.multi_step or self.policy == "per-step"):
            wanting = "multi_step=True" if self.multi_step else "statistics='per-step'"
            raise UserError(f"{wanting} needs the weights after each step, but '{self.gradient}' keeps the last alone.")
        drops = any(isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0 for m in self.net.modules())
        if drops and self.gradient in ("checkpointed", "implicit"):
            raise UserError(f"gradient='{self.gradient}' computes losses again, and dropout would differ; use 'exact'.")
        if self.multi_step and (self.steps < 1 or self.multi_step_until < 1):
            raise UserError(f"multi_step over {self.steps} steps until {self.multi_step_until}; both must be above 0.")

    def _start(self) -> Weights:
        parameters = dict(self.net.named_parameters())
        return {name: parameters[name] for name in self.names}

    @property
    def _path(self) -> dict[str, Any]:
        """What `trajectory` and `inner_loop` are both told."""
        return {"gradient": self.gradient, "horizon": self.horizon, "proximal": self.proximal}

    def _inner_loss(self, support: Examples) -> InnerLoss:
        if self.training or self.policy != "per-step":
            return lambda weights, step: self.loss_on(support, weights)
        return lambda weights, step: criterion(
            call(self.net, weights, support.x, statistics=self.norms.at(step)), support
        )

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> FastWeights:
        del description, rng
        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        weights = inner_loop(
            self._inner_loss(support),
            self._start(),
            self.descent,
            steps=steps,
            solver_steps=self.solver_steps,
            **self._path,
        )
        if self.policy == "per-step":
            return FastWeights(weights, self.norms.at(steps))
        return finish(self.net, weights, support.x, self.policy)

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """The objective of every task; in training under 'per-step' the running statistics follow the tasks here."""
        if not (self.training and (self.multi_step or self.policy == "per-step")):
            return super().loss(tasks, rng=rng)
        found = map_tasks(self._loss_along, tasks, self.plan or choose(self, tasks), rng=rng)
        objective, score = found[:2]
        if self.policy == "per-step" and bool(torch.isfinite(objective).all()):
            self.norms.follow(found[2])
        return Loss(objective, score)

    def _loss_along(self, task: Task, rng: Rng | None) -> tuple[Tensor, ...]:
        """Objective over the steps, metric after the last, and what was seen for the running statistics."""
        del rng
        start = self._start()
        path = [start, *trajectory(self._inner_loss(task.support), start, self.descent, steps=self.steps, **self._path)]
        record: list[tuple[Tensor, Tensor]] = []
        terms = []
        for step, share in importance(self.steps, self._progress).items():
            record.clear()
            output = self._asked(path[step], task, record)
            terms.append(share * criterion(output, task.query))
        found = torch.stack(terms).sum(), metric(output, task.query).detach()
        return found if self.policy != "per-step" else (*found, self._seen(path[:-1], task.support.x, record))

    @property
    def _progress(self) -> float:
        return self.outer_step / self.multi_step_until if self.multi_step else 1.0

    def _asked(self, weights: Weights, task: Task, record: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The answers to the queries with some weights, in training."""
        if self.policy == "per-step":
            return call(self.net, weights, task.query.x, record=record)
        return answer(self.net, finish(self.net, weights, task.support.x, self.policy), task.query.x, self.policy)

    @torch.no_grad()
    def _seen(
        self, path: list[Weights], x: Float[Tensor, "n ..."], last: list[tuple[Tensor, Tensor]]
    ) -> Float[Tensor, "steps 2 width"]:
        """Statistics of the support set before each step, and of the queries after the last."""
        rows = []
        for weights in path:
            # A pass of its own: what is recorded inside a gradient that torch takes cannot leave it.
            record: list[tuple[Tensor, Tensor]] = []
            call(self.net, weights, x, record=record)
            rows.append(self.norms.row(record))
        return torch.stack([*rows, self.norms.row(last)])


def importance(steps: int, progress: float) -> dict[int, float]:
    """Number of a step -> weight of the query loss after it, as in the code of MAML++.

    All weigh the same at first; those before the last fall to 0.03 / steps, and at progress 1 only the last is left.

    >>> importance(4, 0.0), importance(4, 1.0)
    ({1: 0.25, 2: 0.25, 3: 0.25, 4: 0.25}, {4: 1.0})
    """
    if progress >= 1:
        return {steps: 1.0}
    early = max((1 - progress) / steps, 0.03 / steps)
    return dict.fromkeys(range(1, steps), early) | {steps: 1 - (steps - 1) * early}
