"""Update rules of the inner loop that learn nothing: what a gradient does to the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UnknownName
from ...functional.inner_loop import Rule, Weights


class SGD(nn.Module):
    """weights - lr * gradient."""

    def __init__(self, lr: float):
        super().__init__()
        self.lr = lr

    def start(self, weights: Weights) -> None:
        del weights

    def step(self, weights: Weights, gradients: Weights, memory: Any, loss: Tensor) -> tuple[Weights, None]:
        del memory, loss
        return {name: w - self.lr * gradients[name] for name, w in weights.items()}, None


class Adam(nn.Module):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) as a pure rule; Reptile's inner loop takes it with beta1 = 0.

    The root is taken of the second moment + eps^2, so that its derivative exists where a gradient is zero.
    """

    def __init__(self, lr: float = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__()
        self.lr, self.betas, self.eps = lr, betas, eps

    def start(self, weights: Weights) -> tuple[Weights, Weights, int]:
        zeros = {name: torch.zeros_like(w) for name, w in weights.items()}
        return zeros, dict(zeros), 0

    def step(self, weights: Weights, gradients: Weights, memory: Any, loss: Tensor) -> tuple[Weights, Any]:
        del loss
        first, second, count = memory
        (b1, b2), count = self.betas, count + 1
        first = {n: b1 * first[n] + (1 - b1) * g for n, g in gradients.items()}
        second = {n: b2 * second[n] + (1 - b2) * g * g for n, g in gradients.items()}
        moved = {
            n: w - self.lr * (first[n] / (1 - b1**count)) / torch.sqrt(second[n] / (1 - b2**count) + self.eps**2)
            for n, w in weights.items()
        }
        return moved, (first, second, count)


FIXED: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam}


def fixed_rule(name: str, lr: float) -> Rule:
    """The rule that a name stands for, 'sgd' or 'adam', with a rate that is not learned.

    Raises:
        UnknownName: neither of them.
    """
    if name not in FIXED:
        raise UnknownName.among("rule", name, FIXED)
    return FIXED[name](lr)
