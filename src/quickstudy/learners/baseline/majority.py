"""The answer that never looks at the query: the commonest class, or the mean target, of the support set."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ...functional.prototypes import class_sums
from ...learner import Learner
from ...pytree import pytree, static
from ...rng import Rng
from ...task import Examples


@pytree
class Tally:
    """Sums and a count, so that more examples can be added.

    Args:
        sums: (ways,) examples of each class, or (d,) sums of targets.
        count: () examples.
        ways: the number of classes; None for regression.
    """

    sums: Tensor
    count: Tensor
    ways: int | None = static(None)


class Majority(Learner):
    """The most frequent class, or the mean target; whoever cannot beat it has learned nothing from the inputs.

    Its logits are the logarithms of the shares of the classes, so its log-likelihood is that of guessing by frequency.

    >>> import torch
    >>> learner = Majority()
    >>> state = learner.adapt(Examples(torch.zeros(3, 1), torch.tensor([1, 0, 1]), ways=2))
    >>> learner.predict(state, torch.zeros(2, 1)).argmax(1)
    tensor([1, 1])
    """

    State = Tally
    kinds = ("classification", "regression")
    class_equivariant = True
    meta_gradient = "none"

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Tally:
        del description, rng
        x, y, mask = support.x, support.y, support.mask
        real = x.new_ones(len(y)) if mask is None else mask.to(x.dtype)
        if support.ways is not None:
            _, sums = class_sums(x.new_zeros(len(y), 1), y, support.ways, mask)
        else:
            sums = (y * real.unsqueeze(-1)).sum(0)
        return Tally(sums, real.sum(), support.ways)

    def predict(self, state: Tally, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q answers"]:
        shares = state.sums / state.count.clamp(min=1)
        return (shares if state.ways is None else shares.log()).expand(x.shape[0], -1)

    def update(self, state: Tally, examples: Examples) -> Tally:
        more = self.adapt(examples)
        return Tally(state.sums + more.sums, state.count + more.count, state.ways)
