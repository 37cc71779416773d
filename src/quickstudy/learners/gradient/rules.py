"""Update rules of the inner loop: what a gradient does to the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UnknownName
from ...functional.inner_loop import Rule, Weights


class SGD(nn.Module):
    """weights - lr * gradient; the rates may be learned, one a tensor of the net (a 'layer').

    Args:
        lr: the rate, or where learned rates begin.
        names: parameters that have a learned rate each; none for a fixed rate.
    """

    def __init__(self, lr: float, names: tuple[str, ...] = ()):
        super().__init__()
        self.lr = lr
        # A dot separates modules in torch, so it cannot stand in the name of a parameter.
        self.rates = nn.ParameterDict({n.replace(".", "/"): nn.Parameter(torch.tensor(float(lr))) for n in names})

    def start(self, weights: Weights) -> None:
        del weights

    def step(self, weights: Weights, gradients: Weights, memory: Any) -> tuple[Weights, None]:
        del memory
        return {name: w - self._rate(name) * gradients[name] for name, w in weights.items()}, None

    def _rate(self, name: str) -> float | Tensor:
        key = name.replace(".", "/")
        return self.rates.get(key, self.lr)


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

    def step(self, weights: Weights, gradients: Weights, memory: Any) -> tuple[Weights, Any]:
        first, second, count = memory
        (b1, b2), count = self.betas, count + 1
        first = {n: b1 * first[n] + (1 - b1) * g for n, g in gradients.items()}
        second = {n: b2 * second[n] + (1 - b2) * g * g for n, g in gradients.items()}
        moved = {
            n: w - self.lr * (first[n] / (1 - b1**count)) / torch.sqrt(second[n] / (1 - b2**count) + self.eps**2)
            for n, w in weights.items()
        }
        return moved, (first, second, count)


def fixed_rule(name: str, lr: float) -> Rule:
    """The rule that a name stands for, 'adam' or 'sgd', with a rate that is not learned.

    Raises:
        UnknownName: neither of them.
    """
    rules: dict[str, type[Adam] | type[SGD]] = {"adam": Adam, "sgd": SGD}
    if name not in rules:
        raise UnknownName.among("rule", name, rules)
    return rules[name](lr)
