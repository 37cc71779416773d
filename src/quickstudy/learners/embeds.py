"""What learners share whose state is made of embeddings: an encoder, called once for a whole meta-batch in training."""

from __future__ import annotations

import abc
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..engine.joint import TOGETHER, embed_together
from ..engine.mapping import map_tasks
from ..errors import UserError
from ..functional.batch_norm import call
from ..learner import Learner, Loss, criterion, metric
from ..outputs import Output
from ..rng import Rng
from ..task import Examples, Task
from .baseline.nearest import Neighbours


class Embeds(Learner):
    """A learner whose state is made of embedded examples, and whose answers are comparisons with it.

    In training the examples of all tasks of a meta-batch, support and queries, go through the encoder together (the
    papers' protocol: one task a meta-batch), so batch norm takes their common statistics; in `adapt` and `predict` it
    uses running statistics, so an answer depends on no other query.
    """

    class_equivariant = True
    joint = True

    encoder: nn.Module

    @abc.abstractmethod
    def remember(self, z: Tensor, support: Examples) -> Any:
        """The state for a support set that is embedded already."""

    @abc.abstractmethod
    def answer(self, state: Any, z: Tensor) -> Output:
        """Answers to queries that are embedded already; a class without examples is never one."""

    def embed(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Embeddings by running statistics, which leave the encoder as it was."""
        return call(self.encoder, {}, x, policy="running")

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Any:
        del description, rng
        return self.remember(self.embed(support.x), support)

    def predict(self, state: Any, x: Float[Tensor, "q ..."]) -> Output:
        return self.answer(state, self.embed(x))

    def embedded_loss(self, task: Task, rng: Rng | None = None) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Objective and metric of a task that is embedded already; by default those of the answers."""
        del rng
        output = self.answer(self.remember(task.support.x, task.support), task.query.x)
        return criterion(output, task.query), metric(output, task.query).detach()

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        return Loss(*map_tasks(self.embedded_loss, embed_together(self.encoder, tasks), TOGETHER, rng=rng))


def kept(z: Float[Tensor, "n d"], support: Examples) -> Neighbours:
    """The state that keeps every embedded example."""
    real = torch.ones_like(support.y, dtype=torch.bool) if support.mask is None else support.mask
    return Neighbours(z, support.y, real, support.ways)


def joined(state: Neighbours, more: Neighbours) -> Neighbours:
    """The examples of one state and then those of the other."""
    z, y, real = (torch.cat(pair) for pair in ((state.z, more.z), (state.y, more.y), (state.real, more.real)))
    return Neighbours(z, y, real, state.ways)


def feature_length(encoder: nn.Module, features: int | None) -> int:
    """The length of an embedding: `features`, or what the encoder says of itself when that is None.

    Raises:
        UserError: neither says it.
    """
    length = getattr(encoder, "features", None) if features is None else features
    if not isinstance(length, int):
        raise UserError(f"{type(encoder).__name__} does not say how long its features are; give features=...")
    return length
