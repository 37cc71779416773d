"""What the libraries on torch share: the net as their users would write it, the outer step, and the meta-gradient."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .work import EPSILON, MLP, WIDTH, Work, names, tasks, weights


class Conv4(nn.Module):
    """Four blocks of convolution, batch norm and ReLU, in the memory order that torch has by default."""

    def __init__(self, work: Work):
        super().__init__()
        self.pool = work.net == "pool"
        for i, channels in enumerate((1, WIDTH, WIDTH, WIDTH)):
            self.add_module(f"conv{i}", nn.Conv2d(channels, WIDTH, 3, 1 if self.pool else 2, 1))
            # Where weights are adapted, batch norm takes the statistics of the batch, always.
            self.add_module(f"norm{i}", nn.BatchNorm2d(WIDTH, eps=EPSILON, track_running_stats=self.pool))
        self.head = nn.Identity() if self.pool else nn.Linear(WIDTH, work.ways)

    def embed(self, x: Tensor) -> Tensor:
        for i in range(4):
            x = F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x)))
            x = F.max_pool2d(x, 2) if self.pool else x
        return x.flatten(1) if self.pool else x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x))


class Mlp(nn.Module):
    """The net of the sinusoids."""

    def __init__(self) -> None:
        super().__init__()
        for i, (wide, out) in enumerate(pairwise(MLP)):
            self.add_module(f"linear{i}", nn.Linear(wide, out))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(F.relu(self.linear0(x)))))


def fill(net: nn.Module, work: Work, dtype: str, rename: dict[str, str] | None = None) -> list[nn.Parameter]:
    """Load the first weights; the parameters in the order of `names`.

    Args:
        rename: layer -> what the net calls it.
    """
    found, parameters = dict(net.to(getattr(torch, dtype)).named_parameters()), []
    for name, array in zip(names(work), weights(work, dtype), strict=True):
        layer, _, part = name.partition(".")
        parameters.append(found[f"{(rename or {}).get(layer, layer)}.{part}"])
        parameters[-1].data.copy_(torch.from_numpy(array))
    return parameters


class Job:
    """One library on one work load. Subclasses say what `backward` does.

    Args:
        net: the library's own one; a plain one when None.
        rename: layer -> what that net calls it.
    """

    def __init__(self, work: Work, dtype: str, net: nn.Module | None = None, rename: dict[str, str] | None = None):
        self.work = work
        self.net = net or (Mlp() if work.net == "mlp" else Conv4(work))
        self.parameters = fill(self.net, work, dtype, rename)
        self.optimizer = torch.optim.Adam(self.parameters, 1e-3)
        self.sides = [torch.from_numpy(np.ascontiguousarray(side)) for side in tasks(work, dtype)]
        self.loss = F.mse_loss if work.net == "mlp" else F.cross_entropy

    def backward(self) -> float:
        """Put the meta-gradient, the mean over tasks, into the parameters; the loss."""
        raise NotImplementedError

    def step(self) -> float:
        """One outer step."""
        self.optimizer.zero_grad()
        loss = self.backward()
        self.optimizer.step()
        return loss

    def gradient(self) -> list[np.ndarray]:
        """The meta-gradient at the first weights."""
        self.optimizer.zero_grad()
        self.backward()
        return [p.grad.numpy() for p in self.parameters]


class Adapting(Job):
    """A job that goes through the tasks one by one, adapting to each."""

    def inputs(self, number: int) -> tuple[Tensor, Tensor]:
        """Support and query inputs of the part that adapts: under ANIL, the head, they are features."""
        x, queries = self.sides[0][number], self.sides[2][number]
        return (self.net.embed(x), self.net.embed(queries)) if self.work.kind == "anil" else (x, queries)

    @property
    def part(self) -> nn.Module:
        """The module that adapts."""
        return self.net.head if self.work.kind == "anil" else self.net


class Comparing(Job):
    """A job of prototypical networks; subclasses say the scores of one task, (queries, ways)."""

    def scores(self, support: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        raise NotImplementedError

    def backward(self) -> float:
        x, y, queries, asked = (side[0] for side in self.sides)
        loss = F.cross_entropy(self.scores(x, y, queries), asked)
        loss.backward()
        return loss.item()

    @torch.no_grad()
    def judge(self) -> float:
        """Mean share of right answers, by running statistics."""
        self.net.eval()
        found = [(self.scores(*rest).argmax(1) == asked).float().mean() for *rest, asked in self._each()]
        return torch.stack(found).mean().item()

    def _each(self) -> list[tuple[Tensor, ...]]:
        x, y, queries, asked = self.sides
        return list(zip(x, y, queries, asked, strict=True))

    def step(self) -> float:
        return self.judge() if self.work.kind == "judge" else super().step()

    def gradient(self) -> list[np.ndarray]:
        return [np.array([self.judge()])] if self.work.kind == "judge" else super().gradient()
