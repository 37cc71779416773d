"""TorchOpt: MetaSGD for images, and its functional SGD under vmap for the sinusoids.

Under vmap the second-order gradient of torch's batch norm is wrong (torch 2.13), so images are not timed that way.
"""

from __future__ import annotations

import torch
import torchopt
from torch import Tensor
from torch.func import functional_call, grad, vmap

from .torch_job import Adapting
from .work import Work, names


class Maml(Adapting):
    def __init__(self, work: Work, dtype: str):
        super().__init__(work, dtype)
        self.descent = torchopt.MetaSGD(self.net, lr=work.lr)

    def backward(self) -> float:
        x, y, queries, asked = self.sides
        net = torchopt.extract_state_dict(self.net, by="reference", detach_buffers=True)
        descent = torchopt.extract_state_dict(self.descent, by="reference")
        losses = []
        for i in range(self.work.tasks):
            for _ in range(self.work.steps):
                self.descent.step(self.loss(self.net(x[i]), y[i]))
            losses.append(self.loss(self.net(queries[i]), asked[i]))
            torchopt.recover_state_dict(self.net, net)
            torchopt.recover_state_dict(self.descent, descent)
        mean = torch.stack(losses).mean()
        mean.backward()
        return mean.item()


class Vectorised(Adapting):
    def backward(self) -> float:
        mean = vmap(self.task, (None, 0, 0, 0, 0))(tuple(self.parameters), *self.sides).mean()
        mean.backward()
        return mean.item()

    def task(self, weights: tuple[Tensor, ...], x: Tensor, y: Tensor, queries: Tensor, asked: Tensor) -> Tensor:
        def loss(weights: tuple[Tensor, ...], x: Tensor, y: Tensor) -> Tensor:
            return self.loss(functional_call(self.net, dict(zip(names(self.work), weights, strict=True)), (x,)), y)

        descent = torchopt.sgd(lr=self.work.lr)
        state = descent.init(weights)
        for _ in range(self.work.steps):
            change, state = descent.update(grad(loss)(weights, x, y), state, inplace=False)
            weights = torchopt.apply_updates(weights, change, inplace=False)
        return loss(weights, queries, asked)


def build(work: Work, dtype: str) -> Maml | Vectorised:
    return (Vectorised if work.kind == "sine" else Maml)(work, dtype)
