"""higher: innerloop_ctx around torch's own SGD."""

from __future__ import annotations

import higher
import torch

from .torch_job import Adapting
from .work import Work


class Maml(Adapting):
    def backward(self) -> float:
        first_order, total = self.work.kind == "fomaml", 0.0
        descent = torch.optim.SGD(self.part.parameters(), lr=self.work.lr)
        for i in range(self.work.tasks):
            x, queries = self.inputs(i)
            with higher.innerloop_ctx(
                self.part, descent, copy_initial_weights=False, track_higher_grads=not first_order
            ) as (net, steps):
                for _ in range(self.work.steps):
                    steps.step(self.loss(net(x), self.sides[1][i]))
                loss = self.loss(net(queries), self.sides[3][i]) / self.work.tasks
                if first_order:
                    # It cuts the adapted weights off from the first ones; their gradient is carried over by hand.
                    gradients = torch.autograd.grad(loss, list(net.parameters()))
                    for p, gradient in zip(self.part.parameters(), gradients, strict=True):
                        p.grad = gradient if p.grad is None else p.grad.add_(gradient)
                else:
                    loss.backward()
            total += loss.item()
        return total


def build(work: Work, dtype: str) -> Maml:
    return Maml(work, dtype)
