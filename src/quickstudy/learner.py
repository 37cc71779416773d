"""What a learner is: `adapt` turns a support set into a state, `predict` answers with it."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .engine.mapping import map_tasks
from .engine.plan import Plan, choose
from .rng import Rng
from .task import Examples, Task


class Loss(NamedTuple):
    """What meta-training lowers, and the query metric beside it; one number a task each.

    Args:
        objective: (T,) differentiable.
        metric: (T,) detached: share of queries answered right, or mean squared error in raw units.
    """

    objective: Tensor
    metric: Tensor


class Learner(nn.Module, abc.ABC):
    """Trained over many tasks, so that `adapt(support)` gives, at once, a state that answers the questions.

    `adapt` and `predict` are written for one task and are pure: they write nothing into the learner, its buffers
    included. Vectorising over tasks, chunks and memory belong to the engine. A learner declares what holds for it:

    Attributes:
        State: the class of the states that `adapt` makes.
        kinds: kinds of task it can serve.
        transductive: an answer may depend on the other queries.
        class_equivariant: renaming the classes renames the answers (a fixed head cannot promise that).
        order_sensitive: the order of the support set is part of the algorithm.
        meta_gradient: 'exact', 'surrogate' (on purpose not the gradient of the query loss) or 'none' (nothing is
            trained).
        joint: `loss` embeds the whole batch of tasks at once, so it must not be cut into chunks.
        stochastic: `adapt` draws random numbers, from the `rng` it is given.
        iterative: adapts by steps whose number, `test_steps`, may be set for evaluation.
    """

    State: ClassVar[type]
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    class_equivariant: ClassVar[bool] = False
    order_sensitive: ClassVar[bool] = False
    meta_gradient: Literal["exact", "surrogate", "none"] = "exact"
    joint: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    iterative: ClassVar[bool] = False
    test_steps: int | None = None

    plan: Plan | None = None

    @property
    def transductive(self) -> bool:
        """Whether an answer may depend on the other queries."""
        return False

    @abc.abstractmethod
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Any:
        """The state that has learned from `support`.

        Args:
            support: examples of one task.
            description: (ways, d) class descriptions or (d,) meta-features, for learners that read them.
            rng: where random numbers come from, for learners that are `stochastic`.
        """

    @abc.abstractmethod
    def predict(self, state: Any, x: Tensor) -> Tensor:
        """(q, ways) logits, or (q, d) predictions of a regression, for (q, *feature) inputs."""

    def update(self, state: Any, examples: Examples) -> Any:
        """The state that has also learned from more examples of the same task.

        Raises:
            NotImplementedError: this learner can only start again with all examples.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot go on from a state; adapt again with all examples.")

    def task_loss(self, task: Task, rng: Rng | None = None) -> tuple[Tensor, Tensor]:
        """Objective and metric of one task; by default those of its queries after adapting to its support."""
        state = self.adapt(task.support, task.description, rng=rng)
        output = self.predict(state, task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """The objective of every task of a batch; `task_loss` mapped by the engine unless a learner knows better."""
        return Loss(*map_tasks(self.task_loss, tasks, self.plan or choose(self, tasks), rng=rng))


def criterion(output: Tensor, examples: Examples) -> Tensor:
    """Cross-entropy of logits, or mean squared error, over the examples that are not padding: ()."""
    if examples.ways is None:
        return masked_mean((output - examples.y).square().mean(-1), examples.mask)
    return masked_mean(F.cross_entropy(output, examples.y, reduction="none"), examples.mask)


def metric(output: Tensor, examples: Examples) -> Tensor:
    """Share of right answers (0..1), or mean squared error, over the examples that are not padding: ()."""
    if examples.ways is None:
        return masked_mean((output - examples.y).square().mean(-1), examples.mask)
    return masked_mean((output.argmax(-1) == examples.y).to(output.dtype), examples.mask)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of the values whose mask is True; padding counts for nothing, not even in the divisor."""
    if mask is None:
        return values.mean(-1)
    return torch.where(mask, values, 0).sum(-1) / mask.sum(-1).clamp(min=1)
