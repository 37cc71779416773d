"""learn2learn: algorithms.MAML, nn.PrototypicalClassifier, data.TaskDataset; Reptile as in its examples."""

from __future__ import annotations

import copy

import learn2learn
import torch
from learn2learn.data.transforms import ConsecutiveLabels, KShots, LoadData, NWays, RemapLabels
from torch import Tensor

from .torch_job import Adapting, Comparing
from .work import Work, drawings


class Maml(Adapting):
    def __init__(self, work: Work, dtype: str):
        super().__init__(work, dtype)
        self.maml = learn2learn.algorithms.MAML(self.part, lr=work.lr, first_order=work.kind == "fomaml")

    def backward(self) -> float:
        total = 0.0
        for i in range(self.work.tasks):
            learner = self.maml.clone()
            x, queries = self.inputs(i)
            for _ in range(self.work.steps):
                learner.adapt(self.loss(learner(x), self.sides[1][i]))
            loss = self.loss(learner(queries), self.sides[3][i])
            loss.backward()
            total += loss.item()
        for p in self.parameters:
            p.grad.div_(self.work.tasks)
        return total / self.work.tasks


class Reptile(Adapting):
    def backward(self) -> float:
        for p in self.parameters:
            p.grad = torch.zeros_like(p)
        for i in range(self.work.tasks):
            net = copy.deepcopy(self.net)
            descent = torch.optim.SGD(net.parameters(), self.work.lr)
            for _ in range(self.work.steps):
                descent.zero_grad()
                loss = self.loss(net(self.sides[0][i]), self.sides[1][i])
                loss.backward()
                descent.step()
            for p, moved in zip(self.net.parameters(), net.parameters(), strict=True):
                p.grad.add_(p.data - moved.data, alpha=1 / self.work.tasks)
        return loss.item()


class Prototypical(Comparing):
    def __init__(self, work: Work, dtype: str):
        super().__init__(work, dtype)
        self.classifier = learn2learn.nn.PrototypicalClassifier()

    def scores(self, support: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        embedded = self.net(torch.cat([support, queries]))
        self.classifier.fit_(embedded[: len(support)], y)
        return self.classifier(embedded[len(support) :])


class Episodes:
    def __init__(self, work: Work):
        x = torch.from_numpy(drawings())
        y = torch.arange(x.shape[0]).repeat_interleave(x.shape[1])
        data = learn2learn.data.MetaDataset(torch.utils.data.TensorDataset(x.flatten(0, 1), y))
        how = [NWays(data, work.ways), KShots(data, work.shots + work.queries), LoadData(data)]
        how += [RemapLabels(data), ConsecutiveLabels(data)]
        self.source, self.count = learn2learn.data.TaskDataset(data, how, num_tasks=-1), work.tasks

    def step(self) -> float:
        return float(len([self.source.sample() for _ in range(self.count)]))


def build(work: Work, dtype: str) -> Adapting | Comparing | Episodes:
    if work.kind == "episodes":
        return Episodes(work)
    return {"reptile": Reptile, "prototypical": Prototypical, "judge": Prototypical}.get(work.kind, Maml)(work, dtype)
