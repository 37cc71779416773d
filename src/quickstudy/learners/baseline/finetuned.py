"""Baseline++ (Chen et al. 2019, arXiv:1904.04232): ordinary classification, then a new head for each task."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...errors import BadExamples, UserError
from ...functional.inner_loop import Weights, inner_loop
from ...functional.prototypes import class_sums
from ...learner import Loss, criterion
from ...pytree import pytree
from ...rng import Rng
from ...task import Examples, Task, batch_size, take, trim
from ..gradient.rules import fixed_rule
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
        """Cross-entropy of each task's examples among all classes of the pool, embedded at once.

        The metric is the share of queries whose class is found among all of them.

        Raises:
            BadExamples: a task does not say which classes of the pool it has, or there are more of them than `classes`.
        """
        del rng
        each = [trim(take(tasks, i)) for i in range(batch_size(tasks))]
        labels = [self._pool_labels(task) for task in each]
        x = torch.cat([side for task in each for side in (task.support.x, task.query.x)])
        logits = self._logits(self.encoder(x).flatten(1), self.head).split([len(y) for y in labels])
        rows = []
        for task, output, y in zip(each, logits, labels, strict=True):
            hits = (output.argmax(-1) == y)[len(task.support) :].to(output.dtype)
            rows.append((F.cross_entropy(output, y), hits.mean().detach()))
        return Loss(*(torch.stack(column) for column in zip(*rows, strict=True)))

    def _pool_labels(self, task: Task) -> Int[Tensor, " n"]:
        if task.origin is None or task.origin.classes is None:
            raise BadExamples(
                "FineTuned is trained on the classes of a pool, but these tasks do not say which they have."
            )
        if int(task.origin.classes.min()) < 0 or int(task.origin.classes.max()) >= self.classes:
            raise BadExamples(
                f"A task has class {int(task.origin.classes.max())} of its pool, but this learner has classes"
                f" 0..{self.classes - 1}; make it with the number of classes in the pool, classes=..."
            )
        return task.origin.classes[torch.cat([task.support.y, task.query.y])]
