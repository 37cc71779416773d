"""A linear model on frozen features: often all that a few examples need (Tian et al. 2020, arXiv:2003.11539)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.solvers.logistic import logistic
from ...functional.solvers.ridge import ridge
from ...learner import Learner
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples
from .frozen import features


@pytree
class Linear:
    """A linear map.

    Args:
        weights: (d, ways or k).
        intercept: (ways or k,); -inf for a class without examples.
    """

    weights: Tensor
    intercept: Tensor


class LinearProbe(Learner):
    """Logistic regression, or ridge regression, on raw inputs or on a frozen encoder, solved to convergence.

    Unlike Baseline++ it has one solution, with nothing to tune but the penalty.

    Args:
        encoder: (n, *feature) -> (n, d); None takes the inputs, flattened.
        penalty: on the squared weights, against a sum over examples: 1 / C of scikit-learn's logistic regression, alpha
            of its ridge.
        normalise: scale features to length one, as in the paper; for classification only, since in a regression the
            length matters.

    Raises:
        UserError: a penalty that is not above zero; without one, separable classes have no solution.

    >>> import torch
    >>> learner = LinearProbe()
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    State = Linear
    kinds = ("classification", "regression")
    class_equivariant = True
    meta_gradient = "none"

    def __init__(self, encoder: nn.Module | None = None, *, penalty: float = 1.0, normalise: bool = True):
        super().__init__()
        if not penalty > 0:
            raise UserError(
                f"penalty is {penalty}; it must be above zero, or separable classes would have no solution."
            )
        self.encoder, self.penalty, self.normalise = encoder, penalty, normalise

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Linear:
        del description, rng
        z = features(self.encoder, support.x)
        if support.ways is None:
            return Linear(*ridge(z, support.y, self.penalty, support.mask))
        z = F.normalize(z, dim=-1) if self.normalise else z
        return Linear(*logistic(z, support.y, support.ways, self.penalty, support.mask))

    def predict(self, state: Linear, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q answers"]:
        z = features(self.encoder, x)
        return z @ state.weights + state.intercept
