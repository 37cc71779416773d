"""Targets scaled by statistics of meta-train, answers in raw units: for any learner of regressions."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..engine.mapping import map_tasks
from ..engine.plan import choose
from ..errors import UserError
from ..learner import Learner, Loss, declare_as, metric
from ..outputs import Gaussian, Output
from ..rng import Rng
from ..task import Examples, Task
from ..tasks.source import TaskSource


class Standardised(Learner):
    """A learner that sees targets with mean 0 and deviation 1, whatever the unit that they are measured in.

    It declares what the learner inside declares. The statistics are saved with its weights; until `fit_scale` they are
    0 and 1, which changes nothing.

    Args:
        learner: one that serves regressions.
        outputs: length d of a target.

    Raises:
        UserError: the learner does not serve regressions.

    >>> from quickstudy.learners.baseline.majority import Majority
    >>> learner = Standardised(Majority())
    >>> state = learner.adapt(Examples(torch.ones(2, 1), torch.tensor([[100.0], [300.0]])))
    >>> learner.predict(state, torch.ones(1, 1))
    tensor([[200.]])
    """

    kinds = ("regression",)
    mean: Tensor
    scale: Tensor

    def __init__(self, learner: Learner, *, outputs: int = 1):
        super().__init__()
        if "regression" not in learner.kinds:
            raise UserError(
                f"{type(learner).__name__} serves {' and '.join(learner.kinds)} only; there are no targets to scale."
            )
        self.learner, self.outputs = learner, outputs
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("scale", torch.ones(outputs))
        declare_as(self, learner)

    @property
    def transductive(self) -> bool:
        return self.learner.transductive

    @property
    def test_steps(self) -> int | None:
        """Steps in evaluation, of the learner inside."""
        return getattr(self.learner, "test_steps", None)

    @test_steps.setter
    def test_steps(self, steps: int | None) -> None:
        setattr(self.learner, "test_steps", steps)  # noqa: B010  (only iterative learners have it)

    @property
    def outer_step(self) -> int:
        """Steps of meta-training done, as the learner inside has it."""
        return self.learner.outer_step

    @outer_step.setter
    def outer_step(self, step: int) -> None:
        self.learner.outer_step = step

    @torch.no_grad()
    def fit_scale(self, source: TaskSource, *, tasks: int = 256) -> None:
        """Take mean and deviation of the targets from the first training tasks of a source.

        Raises:
            UserError: the tasks are no regressions, or their targets are not `outputs` long.
        """
        drawn = source.train.sample(0, tasks)
        if drawn.ways is not None or drawn.support.y.shape[-1] != self.outputs:
            raise UserError(
                f"Standardised(outputs={self.outputs}) cannot take its scale from '{source.name}': its tasks are"
                f" {drawn.kind} with labels shaped {tuple(drawn.support.y.shape[2:])}; set outputs to their length."
            )
        sides = [s.y.flatten(0, 1) if s.mask is None else s.y[s.mask] for s in (drawn.support, drawn.query)]
        y = torch.cat(sides).double()
        deviation = y.std(0, correction=0)
        self.mean.copy_(y.mean(0))
        # Targets that never differ say nothing about scale; dividing by their deviation would.
        self.scale.copy_(torch.where(deviation > 0, deviation, 1))

    def scaled(self, examples: Examples) -> Examples:
        """The examples as the learner inside sees them."""
        return Examples(examples.x, (examples.y - self.mean) / self.scale, examples.mask)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Any:
        return self.learner.adapt(self.scaled(support), description, rng=rng)

    def predict(self, state: Any, x: Float[Tensor, "q ..."]) -> Output:
        output = self.learner.predict(state, x)
        if isinstance(output, Gaussian):
            return Gaussian(output.mean * self.scale + self.mean, output.variance * self.scale.square())
        return output * self.scale + self.mean

    def update(self, state: Any, examples: Examples) -> Any:
        return self.learner.update(state, self.scaled(examples))

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """The objective of the learner inside, in its own units; the metric in raw units."""
        scaled = Task(self.scaled(tasks.support), self.scaled(tasks.query), tasks.description, tasks.origin)
        objective, inner = self.learner.loss(scaled, rng=rng)
        if self.outputs == 1:
            return Loss(objective, inner * self.scale.square())
        # Outputs in several units: their errors cannot be told apart in a mean any more, so they are asked again.
        with torch.no_grad():
            return Loss(objective, map_tasks(self._raw_metric, tasks, self.plan or choose(self, tasks), rng=rng))

    def _raw_metric(self, task: Task, rng: Rng | None) -> Tensor:
        state = self.adapt(task.support, task.description, rng=rng)
        return metric(self.predict(state, task.query.x), task.query)
