"""ESZSL, zero-shot learning by two ridge solves (Romera-Paredes and Torr 2015, proceedings.mlr.press/v37/)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.batch_norm import call
from ...learner import Learner
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, batch_size, take, trim
from ...tasks.source import TaskSource


@pytree
class Signatures:
    """What the descriptions of the classes become: one linear classifier each.

    Args:
        weights: (d, ways).
    """

    weights: Tensor


class ESZSL(Learner):
    """A bilinear map between features and descriptions, in closed form over the classes of meta-train.

    Unlike `Described` it is solved, not trained, in one pass over training tasks (`meta_fit`), and it answers from
    descriptions alone: examples of a new task do not move it. It is the yardstick that a learned zero-shot method has
    to beat.

    Args:
        encoder: (n, *feature) -> (n, width), fixed.
        width: numbers in an embedding.
        attributes: numbers in a description, flattened; each description is scaled to length 1, as in the paper.
        gamma: penalty in feature space, for mean squares over examples (the paper's, divided by their number).
        lambda_: penalty in description space, for mean squares over classes.
        others: target for the classes that an example is not of; the paper has -1. None is -1 / (classes - 1), by which
            the targets of an example sum to zero: with hundreds of classes the paper's would drown the one +1.

    Raises:
        UserError: (in adapt) there are no descriptions; (in meta_fit) tasks do not say which class of a pool is which.

    >>> learner = ESZSL(nn.Flatten(), width=2, attributes=2)
    >>> learner.solve(torch.eye(2), torch.tensor([0, 1]), torch.eye(2))
    >>> state = learner.adapt(Examples(torch.empty(0, 2), torch.empty(0, dtype=torch.int64), ways=2), torch.eye(2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([0, 1])
    """

    State = Signatures
    class_equivariant = True
    zero_shot = True
    meta_gradient = "none"
    map: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        attributes: int,
        gamma: float = 0.01,
        lambda_: float = 0.01,
        others: float | None = None,
    ):
        super().__init__()
        if gamma <= 0 or lambda_ <= 0:
            raise UserError(f"gamma is {gamma} and lambda_ is {lambda_}; penalties must be above zero.")
        self.encoder, self.width, self.attributes = encoder, width, attributes
        self.gamma, self.lambda_, self.others = gamma, lambda_, others
        self.register_buffer("map", torch.zeros(width, attributes))

    @torch.no_grad()
    def meta_fit(self, source: TaskSource, *, tasks: int = 500, batch: int = 50) -> None:
        """Solve for the map with the examples and descriptions of the first training tasks of a source."""
        features: list[Tensor] = []
        labels: list[Tensor] = []
        known: dict[int, Tensor] = {}
        for start in range(0, tasks, batch):
            drawn = source.train.sample(start, min(batch, tasks - start))
            if drawn.description is None or drawn.origin is None or drawn.origin.classes is None:
                raise UserError(
                    f"The tasks of '{source.name}' do not say which described class of a pool each of theirs is; draw"
                    " them by Episodes from a pool with descriptions."
                )
            for i in range(batch_size(drawn)):
                task = trim(take(drawn, i))
                assert task.origin is not None and task.origin.classes is not None and task.description is not None
                both = task.support.followed_by(task.query)
                features.append(call(self.encoder, {}, both.x, policy="running"))
                labels.append(task.origin.classes[both.y])
                known |= dict(zip(task.origin.classes.tolist(), task.description, strict=True))
        order = torch.tensor(sorted(known))
        descriptions = torch.stack([known[c] for c in order.tolist()])
        self.solve(torch.cat(features), torch.searchsorted(order, torch.cat(labels)), descriptions)

    @torch.no_grad()
    def solve(self, x: Float[Tensor, "n width"], y: Tensor, descriptions: Float[Tensor, "classes ..."]) -> None:
        """Set the map to (X'X / n + gamma)^-1 X'Y S / n (S'S / classes + lambda)^-1, Y being +1 and `others`.

        Args:
            x: features.
            y: (n,) which class each is of, 0..classes-1.
            descriptions: of the classes.
        """
        x, s = x.double(), self._signatures(descriptions).double()
        others = -1 / max(len(s) - 1, 1) if self.others is None else self.others
        targets = others + (1 - others) * F.one_hot(y, len(s)).double()
        inputs = x.T @ x / len(x) + self.gamma * torch.eye(self.width, dtype=x.dtype)
        attributes = s.T @ s / len(s) + self.lambda_ * torch.eye(self.attributes, dtype=x.dtype)
        left = torch.linalg.solve(inputs, x.T @ targets @ s / len(x))
        self.map.copy_(torch.linalg.solve(attributes, left.T).T)

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Signatures:
        del support, rng
        if description is None:
            raise UserError("ESZSL learns from descriptions of the classes, and this task has none.")
        return Signatures(self.map @ self._signatures(description).T)

    def predict(self, state: Signatures, x: Float[Tensor, q * feature]) -> Float[Tensor, "q ways"]:
        return call(self.encoder, {}, x, policy="running") @ state.weights

    def add_class(self, state: Signatures, *, description: Tensor) -> Signatures:
        """The state with one class more, numbered last, from its (*description)."""
        return Signatures(torch.cat([state.weights, self.map @ self._signatures(description.unsqueeze(0)).T], 1))

    def _signatures(self, descriptions: Tensor) -> Float[Tensor, "classes attributes"]:
        return F.normalize(descriptions.flatten(1), dim=1)
