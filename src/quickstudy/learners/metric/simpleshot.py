"""SimpleShot (Wang et al. 2019, arXiv:1911.04623): the nearest class mean of centred, normalised features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UserError
from ...functional.distances import squared_euclidean
from ...functional.precision import run
from ...functional.prototypes import class_sums
from ...learner import Learner, Loss
from ...rng import Rng
from ...task import Examples, Task
from ...tasks.source import TaskSource
from ..baseline.frozen import features as frozen
from ..embeds import feature_length
from ..pool_classes import classify_pool
from .prototypical import Prototypes

PACE = 0.1  # of the running mean, as batch norm has it


class SimpleShot(Learner):
    """Nearest class mean, with an encoder that was never trained on episodes.

    Unlike prototypical networks it learns to tell all training classes apart, with a linear layer that is then thrown
    away; unlike Baseline++ nothing is fine-tuned. Features are taken relative to the mean feature of meta-train and
    normalised to length one, which is what makes so plain a rule work.

    Args:
        encoder: (n, *feature) -> (n, d).
        classes: number of classes in the pool that tasks are drawn from, those kept aside included; None for an encoder
            that is trained already, which then stays as it is (see `fit_centre`).
        centre: subtract the mean feature. Training follows it with a running mean; until then it is zero.
        normalise: to length one.
        features: d; that of `encoder.features` when None.

    Raises:
        UserError: the length of the features is not known.

    >>> learner = SimpleShot(nn.Flatten(), features=2)
    >>> state = learner.adapt(Examples(torch.eye(2), torch.tensor([1, 0]), ways=2))
    >>> learner.predict(state, 5 * torch.eye(2))
    tensor([[-2., -0.],
            [-0., -2.]])
    """

    State = Prototypes
    class_equivariant = True
    joint = True
    mean: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        classes: int | None = None,
        *,
        centre: bool = True,
        normalise: bool = True,
        features: int | None = None,
    ):
        super().__init__()
        self.encoder, self.classes, self.centre, self.normalise = encoder, classes, centre, normalise
        self.features = feature_length(encoder, features)
        self.head = None if classes is None else nn.Linear(self.features, classes)
        self.register_buffer("mean", torch.zeros(self.features))
        self.meta_gradient = "none" if classes is None else "surrogate"

    def embed(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
        """Features as they are compared."""
        z = frozen(self.encoder, x)
        if self.centre:
            z = z - self.mean
        return F.normalize(z, dim=-1) if self.normalise else z

    def adapt(self, support: Examples, description: Tensor | None = None, *, rng: Rng | None = None) -> Prototypes:
        del description, rng
        assert support.ways is not None
        return Prototypes(*class_sums(self.embed(support.x), support.y, support.ways, support.mask))

    def predict(self, state: Prototypes, x: Float[Tensor, "q ..."]) -> Float[Tensor, "q ways"]:
        return torch.where(state.counts > 0, -squared_euclidean(self.embed(x), state.means), -torch.inf)

    def update(self, state: Prototypes, examples: Examples) -> Prototypes:
        more = self.adapt(examples)
        return Prototypes(state.sums + more.sums, state.counts + more.counts)

    def loss(self, tasks: Task, *, rng: Rng | None = None) -> Loss:
        """Cross-entropy among all classes of the pool; nothing is learned where the encoder stays as it is.

        Raises:
            BadExamples: a task does not say which classes of the pool it has, or there are more of them than `classes`.
        """
        if self.classes is None:
            return super().loss(tasks, rng=rng)
        return classify_pool(tasks, self._classify, classes=self.classes, learner="SimpleShot")

    def _classify(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
        assert self.head is not None
        z = run(self.encoder, x).flatten(1)
        if self.training:
            self.mean.lerp_(z.detach().mean(0), PACE)
        return self.head(z)

    @torch.no_grad()
    def fit_centre(self, source: TaskSource, *, tasks: int = 64) -> None:
        """Take the mean feature over the examples of the first training tasks of a source.

        Raises:
            UserError: no tasks.
        """
        if tasks < 1:
            raise UserError(f"Asked for the mean feature of {tasks} tasks; ask for at least one.")
        total, count = torch.zeros_like(self.mean), 0
        for number in range(tasks):
            drawn = source.train.sample(number, 1)
            for side in (drawn.support, drawn.query):
                z = frozen(self.encoder, side.x[0] if side.mask is None else side.x[side.mask])
                total, count = total + z.sum(0), count + len(z)
        self.mean.copy_(total / count)
