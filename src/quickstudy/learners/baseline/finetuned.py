"""Baseline++ (Chen et al. 2019, arXiv:1904.04232): ordinary classification, then a new head for each task."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.inner_loop import Weights, inner_loop
from ...functional.precision import run
from ...functional.prototypes import class_sums
from ...learner import Loss, criterion
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task
from ..gradient.rules import fixed_rule
from ..pool_classes import classify_pool
from .frozen import features as frozen
from .steps import StepsInAdapting


@pytree
class CosineHead:
    """The head of one task.

    Args:
        weight: (ways, d) a direction a class.
        seen: (ways,) bool, whether the class has examples.
    """

    weight: Tensor
    seen: Tensor


class FineTuned(StepsInAdapting):
    """A cosine classifier over all training classes; for a new task, a new one on the frozen encoder.

    Unlike prototypical networks it is trained without episodes, and a head is fine-tuned rather than averaged. The head
    begins at the class means of normalised features, not at random as in the paper, so that it is the same twice, and
    sees the whole support set in each step.

    Args:
        encoder: (n, *feature) -> (n, d).
        classes: number of classes in the pool that tasks are drawn from, those kept aside included.
        features: d; that of `encoder.features` when None.
        scale: what cosines are multiplied by.
        steps: of fine-tuning.
        lr: their rate.
        rule: 'sgd' or 'adam'.

    Raises:
        UserError: the length of the features is not known.

    >>> learner = FineTuned(nn.Flatten(), classes=10, features=2)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, torch.eye(2)).argmax(1)
    tensor([1, 0])
    """

    State = CosineHead
    class_equivariant = True
    meta_gradient = "surrogate"
    joint = True
    iterative = True

    def __init__(
        self,
        encoder: nn.Module,
        classes: int,
        *,
        features: int | None = None,
        scale: float = 10.0,
        steps: int = 100,
        lr: float = 0.1,
        rule: str = "sgd",
    ):
        super().__init__()
        length = getattr(encoder, "features", None) if features is None else features
        if not isinstance(length, int):
            raise UserError(f"{type(encoder).__name__} does not say how long its features are; give features=...")
        self.encoder, self.classes, self.features, self.scale = encoder, classes, length, scale
        self.steps, self.lr, self.rule = steps, lr, rule
        self.descent = fixed_rule(rule, lr)
        self.head = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(classes, length), a=5**0.5))

    @torch.no_grad()
    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> CosineHead:
        del description, rng
        assert support.ways is not None
        z = frozen(self.encoder, support.x)
        sums, counts = class_sums(F.normalize(z, dim=-1), support.y, support.ways, support.mask)
        seen = counts > 0

        def loss(weights: Weights, step: int) -> Tensor:
            del step
            return criterion(self._answer(CosineHead(weights["weight"], seen), z), support)

        # The mean is as long as the examples agree; its length sets how fast it turns and nothing else.
        start = {"weight": F.normalize(sums, dim=-1)}
        return CosineHead(inner_loop(loss, start, self.descent, steps=self.steps)["weight"], seen)

    def predict(self, state: CosineHead, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q ways"]:
        return self._answer(state, frozen(self.encoder, x))

    def _answer(self, head: CosineHead, z: Float[Tensor, "q d"]) -> Float[Tensor, "q ways"]:
        return torch.where(head.seen, self._logits(z, head.weight), -torch.inf)

    def _logits(self, z: Float[Tensor, "q d"], weight: Float[Tensor, "ways d"]) -> Float[Tensor, "q ways"]:
        return self.scale * F.normalize(z, dim=-1) @ F.normalize(weight, dim=-1).T

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """Cross-entropy among all classes of the pool.

        Raises:
            BadExamples: a task does not say which classes of the pool it has, or there are more of them than `classes`.
        """
        del rng
        return classify_pool(tasks, self._classify, classes=self.classes, learner="FineTuned")

    def _classify(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        return self._logits(run(self.encoder, x).flatten(1), self.head)
