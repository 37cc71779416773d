"""torchmeta: MetaModules with gradient_update_parameters, utils.prototype, BatchMetaDataLoader.

Prototypical: support and queries are embedded one after the other, as in its example, so batch norm takes other
statistics in training than where they are embedded together.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmeta.modules import MetaBatchNorm2d, MetaConv2d, MetaLinear, MetaModule
from torchmeta.transforms import Categorical, ClassSplitter
from torchmeta.utils.data import BatchMetaDataLoader, ClassDataset, CombinationMetaDataset, Dataset
from torchmeta.utils.data.task import SubsetTask
from torchmeta.utils.gradient_based import gradient_update_parameters
from torchmeta.utils.prototype import get_prototypes, prototypical_loss

from .torch_job import Adapting, Comparing, Job
from .work import DRAWINGS, LETTERS, MLP, WIDTH, Work, drawings


class Conv4(MetaModule):
    def __init__(self, work: Work):
        super().__init__()
        for i, channels in enumerate((1, WIDTH, WIDTH, WIDTH)):
            self.add_module(f"conv{i}", MetaConv2d(channels, WIDTH, 3, 2, 1))
            self.add_module(f"norm{i}", MetaBatchNorm2d(WIDTH, track_running_stats=False))
        self.head = MetaLinear(WIDTH, work.ways)

    def embed(self, x: Tensor, params: dict | None = None) -> Tensor:
        for i in range(4):
            for layer in (f"conv{i}", f"norm{i}"):
                x = getattr(self, layer)(x, params=self.get_subdict(params, layer))
            x = F.relu(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor, params: dict | None = None) -> Tensor:
        return self.head(self.embed(x, params), params=self.get_subdict(params, "head"))


class Mlp(MetaModule):
    def __init__(self) -> None:
        super().__init__()
        for i, (wide, out) in enumerate(pairwise(MLP)):
            self.add_module(f"linear{i}", MetaLinear(wide, out))

    def forward(self, x: Tensor, params: dict | None = None) -> Tensor:
        for i in range(3):
            x = getattr(self, f"linear{i}")(x, params=self.get_subdict(params, f"linear{i}"))
            x = F.relu(x) if i < 2 else x
        return x


class Maml(Adapting):
    def __init__(self, work: Work, dtype: str):
        super().__init__(work, dtype, Mlp() if work.net == "mlp" else Conv4(work))

    def backward(self) -> float:
        losses = []
        for i in range(self.work.tasks):
            (x, queries), weights = self.inputs(i), None
            for _ in range(self.work.steps):
                weights = gradient_update_parameters(
                    self.part,
                    self.loss(self.part(x, params=weights), self.sides[1][i]),
                    params=weights,
                    step_size=self.work.lr,
                    first_order=self.work.kind == "fomaml",
                )
            losses.append(self.loss(self.part(queries, params=weights), self.sides[3][i]))
        mean = torch.stack(losses).mean()
        mean.backward()
        return mean.item()


class Prototypical(Comparing):
    def backward(self) -> float:
        x, y, queries, asked = (side[:1] for side in self.sides)
        means = get_prototypes(self.net(x[0]).unsqueeze(0), y, self.work.ways)
        loss = prototypical_loss(means, self.net(queries[0]).unsqueeze(0), asked)
        loss.backward()
        return loss.item()

    def scores(self, support: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        means = get_prototypes(self.net(support).unsqueeze(0), y.unsqueeze(0), self.work.ways)[0]
        return -(self.net(queries).unsqueeze(1) - means).square().sum(-1)


class Letter(Dataset):
    def __init__(self, index: int, x: Tensor, target_transform: object):
        super().__init__(index, target_transform=target_transform)
        self.x = x

    def __len__(self) -> int:
        return DRAWINGS

    def __getitem__(self, number: int) -> tuple[Tensor, object]:
        return self.x[number], self.target_transform(self.index)


class Letters(ClassDataset):
    num_classes = LETTERS

    def __init__(self) -> None:
        super().__init__(meta_train=True)
        self.x = torch.from_numpy(drawings())

    def __getitem__(self, index: int) -> Letter:
        return Letter(index, self.x[index], self.get_target_transform(index))


class Episodes:
    def __init__(self, work: Work):
        # torch asks a subset for many items at once, which its subset of a task does not know.
        SubsetTask.__getitems__ = lambda self, items: [self[i] for i in items]
        data = CombinationMetaDataset(Letters(), work.ways, target_transform=Categorical(work.ways))
        data = ClassSplitter(data, shuffle=True, num_train_per_class=work.shots, num_test_per_class=work.queries)
        self.batches = iter(BatchMetaDataLoader(data, batch_size=work.tasks, num_workers=0))

    def step(self) -> float:
        return float(len(next(self.batches)))


def build(work: Work, dtype: str) -> Job | Episodes:
    if work.kind == "episodes":
        return Episodes(work)
    return (Prototypical if work.learner == "prototypical" else Maml)(work, dtype)
