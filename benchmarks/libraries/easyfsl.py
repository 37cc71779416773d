"""easyfsl: methods.PrototypicalNetworks, and TaskSampler with a DataLoader.

It compares by Euclidean distance, not its square as the paper does, so its gradient is another one.
"""

from __future__ import annotations

import torch
from easyfsl.datasets import FewShotDataset
from easyfsl.methods import PrototypicalNetworks
from easyfsl.samplers import TaskSampler
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from .torch_job import Comparing
from .work import Work, drawings


class Prototypical(Comparing):
    def __init__(self, work: Work, dtype: str):
        super().__init__(work, dtype)
        self.classifier = PrototypicalNetworks(self.net)

    def scores(self, support: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        self.classifier.process_support_set(support, y)
        return self.classifier(queries)


class Drawings(FewShotDataset):
    def __init__(self) -> None:
        x = torch.from_numpy(drawings())
        self.y = torch.arange(x.shape[0]).repeat_interleave(x.shape[1]).tolist()
        self.x = x.flatten(0, 1)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        return self.x[item], self.y[item]

    def __len__(self) -> int:
        return len(self.y)

    def get_labels(self) -> list[int]:
        return self.y


class Episodes:
    def __init__(self, work: Work):
        # Its sampler hands torch's an argument that torch no longer takes.
        Sampler.__init__ = lambda self, data_source=None: None
        data = Drawings()
        sampler = TaskSampler(data, work.ways, work.shots, work.queries, n_tasks=10**9)
        loader = DataLoader(data, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)
        self.episodes, self.count = iter(loader), work.tasks

    def step(self) -> float:
        return float(len([next(self.episodes) for _ in range(self.count)]))


def build(work: Work, dtype: str) -> Prototypical | Episodes:
    return Episodes(work) if work.kind == "episodes" else Prototypical(work, dtype)
