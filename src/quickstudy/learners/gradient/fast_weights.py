"""The state of every learner that adapts by moving weights: only what moved, and the statistics of its norms."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import UnknownName, UserError
from ...functional.batch_norm import POLICIES, Statistics, call, has_batch_norm
from ...functional.inner_loop import Weights
from ...learner import Learner, criterion
from ...pytree import pytree
from ...task import Examples


@pytree
class FastWeights:
    """What a task has learned.

    Args:
        weights: parameter name -> tensor, only those that moved.
        statistics: (mean, variance) of each norm layer on the support set, where the policy is 'support'.
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


def check_policy(net: nn.Module, statistics: str) -> str:
    """The policy that is in force: 'none' for a net whose answers rest on no statistics of a batch."""
    if statistics not in POLICIES:
        raise UnknownName.among("policy of batch statistics", statistics, POLICIES)
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


class MovesWeights(Learner):
    """What learners share that adapt by moving weights of a net: its loss, its answers, the policy of its norms.

    Attributes:
        net: any module.
        statistics: the policy that was asked for, one of `functional.batch_norm.POLICIES`.
    """

    State = FastWeights
    kinds = ("classification", "regression")
    iterative = True

    net: nn.Module
    statistics: str

    @property
    def policy(self) -> str:
        """What batch norm uses; 'none' for a net without it."""
        return check_policy(self.net, self.statistics)

    @property
    def transductive(self) -> bool:
        return self.policy == "batch"

    def loss_on(self, examples: Examples, weights: Weights) -> Tensor:
        """The loss on examples of one task, which normalise each other while they are learned from: ()."""
        policy = "batch" if self.policy == "support" else self.policy
        return criterion(call(self.net, weights, examples.x, policy=policy), examples)

    def predict(self, state: FastWeights, x: Tensor) -> Tensor:
        return answer(self.net, state, x, self.policy)
