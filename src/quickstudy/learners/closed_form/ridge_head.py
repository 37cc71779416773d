"""R2-D2 (Bertinetto et al. 2019, arXiv:1805.08136): ridge regression as the last layer, solved anew for each task."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...functional.solvers.ridge import ridge
from .linear_head import LinearHead


class RidgeHead(LinearHead):
    """Ridge regression in a learned embedding, on targets or on the 0 and 1 of classes, in closed form.

    Unlike prototypical networks it weighs the examples against each other, and unlike MAML it takes no steps: the
    gradient goes through the solution of one linear system, of the size of the support set or of the embedding,
    whichever is smaller. The penalty, and for classification a factor on the logits, are learned, as in the paper. Two
    differences: the intercept is not penalised, and the paper's learned constant on all logits, which no softmax can
    see, is left out.

    Args:
        encoder: (n, *feature) -> (n, d).
        penalty: on the squared weights, against a sum over examples: where the learned penalty begins.
        scale: of the logits of a classification: where the learned factor begins. Answers of a regression have none.

    Raises:
        UserError: a penalty or scale that is not above zero.

    >>> import torch
    >>> from ...task import Examples
    >>> learner = RidgeHead(nn.Flatten())
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    kinds = ("classification", "regression")

    def __init__(self, encoder: nn.Module, *, penalty: float = 50.0, scale: float = 10.0):
        super().__init__(encoder, penalty, scale)

    def solve(
        self, embedded: Float[Tensor, "n d"], y: Float[Tensor, "n k"], mask: Bool[Tensor, " n"] | None
    ) -> tuple[Float[Tensor, "d k"], Float[Tensor, " k"]]:
        return ridge(embedded, y, self.log_penalty.exp(), mask)
