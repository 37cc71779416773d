"""Which way a batch of tasks is run, and why."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import nn

from ..task import Task

FEW_IMAGES = 20  # measured on 28x28 images and Conv-4, 2 cores: vectorised wins by 1.7 at 10 images, loses at 80
IMAGES_AT_ONCE = 320  # more activations than these leave the caches, and cost more than the calls they save


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the engine runs a batch: all ways give the same numbers.

    Args:
        how: 'loop' (one task after another), 'vmap' (vectorised over tasks), 'flat' (vectorised, and in training traced
            into a flat list of operations) or 'compiled' (the same, fused by torch's compiler).
        chunk: tasks at a time, for the vectorised ways and for each backward pass.
        reason: why this way, for people.
        workers: threads that chunks are shared out to, for the traced ways.
    """

    how: Literal["loop", "vmap", "flat", "compiled"]
    chunk: int
    reason: str
    workers: int = 1

    def __str__(self) -> str:
        way = {
            "loop": "one after another",
            "vmap": f"vectorised, {self.chunk} at a time",
            "flat": f"from a traced list of operations, {self.chunk} at a time",
            "compiled": f"from compiled operations, {self.chunk} at a time",
        }[self.how]
        threads = f" on each of {self.workers} threads" if self.workers > 1 else ""
        return f"{way}{threads}: {self.reason}"

    @property
    def traced(self) -> bool:
        """Whether training goes by a traced list of operations."""
        return self.how in ("flat", "compiled")


def choose(learner: nn.Module, tasks: Task) -> Plan:
    """The plan for a learner by a fixed rule, without measuring anything; `tuning.tuned` does better for long runs.

    Dense nets are about eight times faster vectorised. Convolutions with weights of their own for each task are not: on
    a CPU a loop is up to twice as fast and takes a third of the memory, unless a task holds so few images that the
    overhead of a call weighs more than its arithmetic.
    """
    reason = obstacle(learner)
    if reason:
        return Plan("loop", 1, reason)
    if convolves(learner) and tasks.support.x.device.type == "cpu":
        # Without a graph the queries are one forward pass, while adapting may take many.
        support, queries = tasks.support.y.shape[1], tasks.query.y.shape[1]
        adapting = support + (queries if torch.is_grad_enabled() else 0)
        if adapting > FEW_IMAGES:
            return Plan("loop", 1, f"convolutions over {adapting} images a task run faster on a CPU one task at a time")
        chunk = max(1, IMAGES_AT_ONCE // (support + queries))
        return Plan("vmap", chunk, f"with {adapting} images a task the overhead of a call outweighs its arithmetic")
    return Plan("vmap", 64, "dense layers run fastest over many tasks at once")


def obstacle(learner: nn.Module) -> str:
    """Why tasks have to be run one after another; '' where they need not."""
    if reason := getattr(learner, "one_by_one", ""):
        return str(reason)
    if getattr(learner, "stochastic", False):
        return "adapting draws random numbers, one stream a task"
    if any(isinstance(m, nn.modules.dropout._DropoutNd) and m.training and m.p > 0 for m in learner.modules()):
        return "dropout draws random numbers, one stream a task"
    recurrent = next((m for m in learner.modules() if isinstance(m, nn.RNNBase)), None)
    if recurrent is not None:
        return f"{type(recurrent).__name__} cannot be vectorised over tasks"
    gradients = {getattr(m, "gradient", None) for m in learner.modules()} if torch.is_grad_enabled() else set()
    if "checkpointed" in gradients:
        return "what the backward pass computes again can only be dropped one task at a time"
    if "implicit" in gradients:
        return "the equations of an implicit gradient are solved one task at a time"
    return ""


def convolves(learner: nn.Module) -> bool:
    """Whether there are convolutions in it."""
    return any(isinstance(m, nn.modules.conv._ConvNd) for m in learner.modules())
