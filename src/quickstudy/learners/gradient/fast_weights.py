"""The state of every learner that adapts by moving weights: only what moved, and the statistics of its norms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UnknownName, UserError
from ...functional.batch_norm import POLICIES, Statistics, call, has_batch_norm
from ...functional.inner_loop import Weights
from ...learner import Learner, criterion
from ...pytree import pytree
from ...task import Examples

MOMENTUM = 0.1  # of running statistics; the default of torch


@pytree
class FastWeights:
    """What a task has learned.

    Args:
        weights: parameter name -> tensor, only those that moved.
        statistics: (mean, variance) of each norm layer, where the policy is 'support' (those of the support set) or
            'per-step' (the running ones after the last step).
    """

    weights: Weights
    statistics: Statistics = ()


def chosen(net: nn.Module, moves: str) -> tuple[str, ...]:
    """The names of the parameters that the inner loop moves: 'all', 'head' (the last layer), or names that begin so.

    Raises:
        UserError: nothing is left to move.
    """
    names = [name for name, p in net.named_parameters() if p.requires_grad]
    if moves == "head" and names:
        last = names[-1].rpartition(".")[0]
        names = [n for n in names if n.rpartition(".")[0] == last]
    elif moves != "all":
        names = [n for n in names if n.startswith(moves)]
    if not names:
        raise UserError(
            f"moves='{moves}' leaves no parameter of {type(net).__name__} to move; use 'all', 'head' or a prefix."
        )
    return tuple(names)


def check_policy(net: nn.Module, statistics: str, policies: Sequence[str] = POLICIES) -> str:
    """The policy that is in force: 'none' for a net whose answers rest on no statistics of a batch."""
    if statistics not in policies:
        raise UnknownName.among("policy of batch statistics", statistics, policies)
    return statistics if has_batch_norm(net) else "none"


def finish(net: nn.Module, weights: Weights, x: Tensor, policy: str) -> FastWeights:
    """The state for adapted weights; under the policy 'support' with the statistics of the support inputs `x`."""
    if policy != "support":
        return FastWeights(weights)
    record: list[tuple[Tensor, Tensor]] = []
    call(net, weights, x, record=record)
    return FastWeights(weights, tuple(record))


def answer(net: nn.Module, state: FastWeights, x: Tensor, policy: str) -> Tensor:
    """The net's answer to queries `x` in a given state."""
    return call(net, state.weights, x, statistics=state.statistics or None, policy=policy)


class StepStatistics(nn.Module):
    """Running statistics of each norm layer after each number of inner steps (MAML++, Antoniou et al. 2019).

    Args:
        net: its norm layers run once each, in the order in which they were made.
        steps: of the inner loop: 0 steps, 1 step, ... have statistics of their own, and more steps have the last ones.

    >>> statistics = StepStatistics(nn.BatchNorm1d(4), steps=2)
    >>> statistics.running.shape, len(statistics.at(7))
    (torch.Size([3, 2, 4]), 1)
    """

    running: Tensor

    def __init__(self, net: nn.Module, steps: int):
        super().__init__()
        self.widths = [m.num_features for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        row = torch.stack([torch.zeros(sum(self.widths)), torch.ones(sum(self.widths))])
        self.register_buffer("running", row.repeat(steps + 1, 1, 1))

    def at(self, step: int) -> Statistics:
        """What batch norm uses after so many steps."""
        mean, variance = self.running[min(step, len(self.running) - 1)].clone()
        return tuple(zip(mean.split(self.widths), variance.split(self.widths), strict=True))

    def row(self, record: Sequence[tuple[Tensor, Tensor]]) -> Float[Tensor, "2 width"]:
        """What one pass of the net recorded, as a row of `running`.

        Raises:
            UserError: its norm layers did not run once each, in the order in which they were made.
        """
        seen = [len(mean) for mean, _ in record]
        if seen != self.widths:
            raise UserError(
                "statistics='per-step' needs norm layers that run once each, in the order in which they were made:"
                f" made were widths {self.widths}, run {seen}; use statistics='support'."
            )
        return torch.stack([torch.cat(column).detach() for column in zip(*record, strict=True)])

    @torch.no_grad()
    def follow(self, rows: Float[Tensor, "T steps 2 width"]) -> None:
        """Move towards what was seen, task after task, so that it is the same in whatever chunks they come."""
        for row in rows:
            self.running.lerp_(row, MOMENTUM)


class MovesWeights(Learner):
    """What learners share that adapt by moving weights of a net: its loss, its answers, the policy of its norms.

    Attributes:
        net: any module.
        statistics: the policy that was asked for, one of `policies`.
        policies: those that there are.
    """

    State = FastWeights
    kinds: tuple[str, ...] = ("classification", "regression")
    iterative = True
    policies: tuple[str, ...] = POLICIES

    net: nn.Module
    statistics: str

    @property
    def policy(self) -> str:
        """What batch norm uses; 'none' for a net without it."""
        return check_policy(self.net, self.statistics, self.policies)

    @property
    def transductive(self) -> bool:
        return self.policy == "batch"

    def loss_on(self, examples: Examples, weights: Weights) -> Tensor:
        """The loss on examples of one task, which normalise each other while they are learned from: ()."""
        policy = "running" if self.policy == "running" else "batch"
        return criterion(call(self.net, weights, examples.x, policy=policy), examples)

    def predict(self, state: FastWeights, x: Tensor) -> Tensor:
        return answer(self.net, state, x, self.policy)
