"""What a learner is: `adapt` turns a support set into a state, `predict` answers with it."""

from __future__ import annotations

import abc
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .engine.mapping import map_tasks
from .engine.plan import Plan, choose
from .errors import UserError
from .outputs import Gaussian, Output, central
from .rng import Rng
from .task import Examples, Task

DECLARED = (
    "State",
    "class_equivariant",
    "order_sensitive",
    "meta_gradient",
    "joint",
    "stochastic",
    "iterative",
    "zero_shot",
)


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
    included. Vectorising over tasks, chunks and memory belong to the engine. A learner declares what holds for it, as
    a class or, where an option decides, as an instance:

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
        one_by_one: why its tasks cannot be run many at once, if they cannot.
        iterative: adapts by steps whose number, `test_steps`, may be set for evaluation.
        outer_step: steps of meta-training done so far; `meta_train` sets it, for objectives that change as it goes on.
        zero_shot: an empty support set is legal, for it can learn from the description of the classes alone.
    """

    State: type
    kinds: tuple[str, ...] = ("classification",)
    class_equivariant: bool = False
    order_sensitive: bool = False
    meta_gradient: Literal["exact", "surrogate", "none"] = "exact"
    joint: bool = False
    stochastic: bool = False
    one_by_one: str = ""
    iterative: bool = False
    zero_shot: bool = False
    test_steps: int | None = None
    outer_step: int = 0

    plan: Plan | None = None

    @property
    def device(self) -> torch.device:
        """Where its weights are, and tasks have to be."""
        return next((t.device for t in (*self.parameters(), *self.buffers())), torch.device("cpu"))

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
    def predict(self, state: Any, x: Tensor) -> Output:
        """(q, ways) logits, (q, d) predictions of a regression or their `Gaussian`, for (q, *feature) inputs."""

    def update(self, state: Any, examples: Examples) -> Any:
        """The state that has also learned from more examples of the same task.

        Raises:
            NotImplementedError: this learner can only start again with all examples.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot go on from a state; adapt again with all examples.")

    def acquire(self, state: Any, x: Tensor, *, kind: str = "classification") -> Tensor:
        """How much a label of each of (n, *feature) candidates is worth, (n,): label the one with the most next.

        By default the uncertainty of its answer: the entropy of the classes in nats, or the variance of the targets.

        Raises:
            UserError: a regression that is answered without uncertainty.
        """
        output = self.predict(state, x)
        if isinstance(output, Gaussian):
            return output.variance.sum(-1)
        if kind == "regression":
            raise UserError(
                f"{type(self).__name__} answers regressions without uncertainty, so no candidate is worth more than"
                " another; choose a learner that answers with a Gaussian."
            )
        return torch.special.entr(output.softmax(-1)).sum(-1)

    def task_loss(self, task: Task, rng: Rng | None = None) -> tuple[Tensor, Tensor]:
        """Objective and metric of one task; by default those of its queries after adapting to its support."""
        state = self.adapt(task.support, task.description, rng=rng)
        output = self.predict(state, task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """The objective of every task of a batch; `task_loss` mapped by the engine unless a learner knows better."""
        return Loss(*map_tasks(self.task_loss, tasks, self.plan or choose(self, tasks), rng=rng))


def declare_as(wrapper: Learner, inside: Learner) -> None:
    """Let a learner around another one declare what that one declares, but for `kinds` and `transductive`."""
    for name in DECLARED:
        setattr(wrapper, name, getattr(inside, name))


def criterion(output: Output, examples: Examples) -> Tensor:
    """Cross-entropy, mean squared error, or minus the log density of a Gaussian; padding does not count: ()."""
    if examples.ways is not None:
        return masked_mean(F.cross_entropy(central(output), examples.y, reduction="none"), examples.mask)
    if isinstance(output, Gaussian):
        return masked_mean(-output.log_density(examples.y), examples.mask)
    return metric(output, examples)


def metric(output: Output, examples: Examples) -> Tensor:
    """Share of right answers (0..1), or mean squared error, over the examples that are not padding: ()."""
    point = central(output)
    if examples.ways is None:
        return masked_mean((point - examples.y).square().mean(-1), examples.mask)
    return masked_mean((point.argmax(-1) == examples.y).to(point.dtype), examples.mask)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of the values whose mask is True; padding counts for nothing, not even in the divisor."""
    if mask is None:
        return values.mean(-1)
    return torch.where(mask, values, 0).sum(-1) / mask.sum(-1).clamp(min=1)
