"""LR-D2 (Bertinetto et al. 2019, arXiv:1805.08136): logistic regression as the last layer, by a few Newton steps."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.solvers.newton import one_against_all
from .linear_head import LinearHead


class LogisticHead(LinearHead):
    """Logistic regression in a learned embedding, one class against all others as in the paper.

    Unlike a ridge regression on 0 and 1 it does not pull back an example that is already far on the right side. A step
    solves one linear system a class, of the size of the support set or of the embedding, whichever is smaller, and the
    meta-gradient is exact: it goes through all steps. The penalty and a factor on the logits are learned.

    Args:
        encoder: (n, *feature) -> (n, d).
        steps: Newton steps in training.
        penalty: on half the squared weights, intercept included, against a sum over examples: where the learned
            penalty begins.
        scale: of the logits: where the learned factor begins.
        test_steps: Newton steps in evaluation; as in training when None.

    Raises:
        UserError: no steps, or a penalty or scale that is not above zero.

    >>> import torch
    >>> from ...task import Examples
    >>> learner = LogisticHead(nn.Flatten())
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    iterative = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        steps: int = 5,
        penalty: float = 10.0,
        scale: float = 1.0,
        test_steps: int | None = None,
    ):
        super().__init__(encoder, penalty, scale)
        if steps < 1:
            raise UserError(f"steps is {steps}; before the first all classes are alike, so take at least 1.")
        self.steps, self.test_steps = steps, test_steps

    def solve(
        self, embedded: Float[Tensor, "n d"], y: Float[Tensor, "n k"], mask: Bool[Tensor, " n"] | None
    ) -> tuple[Float[Tensor, "d k"], Float[Tensor, " k"]]:
        steps = self.steps if self.training or self.test_steps is None else self.test_steps
        return one_against_all(embedded, y, self.log_penalty.exp(), mask, steps=steps)
