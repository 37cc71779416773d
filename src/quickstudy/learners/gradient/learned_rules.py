"""Update rules of the inner loop that are meta-learned: rates, and the LSTM meta-learner."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import UnknownName, UserError
from ...functional.inner_loop import Rule, Weights
from ...functional.recurrent.lstm_cell import lstm_cell
from .rules import FIXED, fixed_rule

RATES = {"layer-rates": "layer", "step-rates": "step", "meta-sgd": "weight"}
RULES = (*FIXED, *RATES, "lstm")

P = 10.0  # of Andrychowicz et al.: magnitudes down to exp(-P) are told apart


def rule_named(name: str, lr: float, weights: Weights, steps: int) -> Rule:
    """The rule that a name of `RULES` stands for, for these weights and so many steps.

    Raises:
        UnknownName: none of them.
        UserError: the LSTM cannot begin with this `lr`.
    """
    if name not in RULES:
        raise UnknownName.among("rule", name, RULES)
    if name in RATES:
        return LearnedRates(weights, lr, each=RATES[name], steps=steps)
    return LSTM(lr) if name == "lstm" else fixed_rule(name, lr)


class LearnedRates(nn.Module):
    """weights - rate * gradient, with rates that meta-training learns; they may become negative.

    Args:
        weights: those that move.
        lr: where every rate begins.
        each: what has a rate of its own: a 'layer' (a tensor of the net), a layer at each 'step' (MAML++, Antoniou et
            al. 2019, arXiv:1810.09502; later steps take the last one), or a 'weight' (Meta-SGD, Li et al. 2017,
            arXiv:1707.09835, whose rates begin at random in [0.005, 0.1] instead).
        steps: of the inner loop, for rates of each step.

    >>> rule = LearnedRates({"weight": torch.zeros(2, 3)}, 0.1, each="step", steps=5)
    >>> rule.rates["weight"].shape
    torch.Size([5])
    """

    def __init__(self, weights: Weights, lr: float, *, each: str, steps: int = 1):
        super().__init__()
        self.each = each
        shape = {"layer": lambda w: (), "step": lambda w: (max(steps, 1),), "weight": lambda w: w.shape}[each]
        # A dot separates modules in torch, so it cannot stand in the name of a parameter.
        self.rates = nn.ParameterDict(
            {name.replace(".", "/"): nn.Parameter(torch.full(shape(w), float(lr))) for name, w in weights.items()}
        )

    def start(self, weights: Weights) -> int:
        del weights
        return 0

    def step(self, weights: Weights, gradients: Weights, memory: int, loss: Tensor) -> tuple[Weights, int]:
        del loss
        return {n: w - self._rate(n, memory) * gradients[n] for n, w in weights.items()}, memory + 1

    def _rate(self, name: str, number: int) -> Tensor:
        rate: Tensor = self.rates[name.replace(".", "/")]
        return rate[min(number, len(rate) - 1)] if self.each == "step" else rate


class LSTM(nn.Module):
    """The LSTM meta-learner (Ravi and Larochelle 2017, openreview rJY0-Kcll): a cell whose state is the weights.

    weights_t = forget * weights_t-1 - input * gradient. Both gates read an LSTM over the preprocessed gradient and
    loss, the weight itself, and their own last value; one set of parameters serves every weight. It begins as gradient
    descent with the rate `lr` that forgets little (0.7 % a step, a bias of 5).

    Args:
        lr: where the input gate begins, between 0 and 1.
        hidden: units of the LSTM below the gates.

    Raises:
        UserError: a rate that is no gate.
    """

    def __init__(self, lr: float, *, hidden: int = 20):
        super().__init__()
        if not 0 < lr < 1:
            raise UserError(f"The rule 'lstm' begins with an input gate of lr = {lr}, which must lie between 0 and 1.")
        self.lr, self.hidden = lr, hidden
        bound = hidden**-0.5
        self.w_ih = nn.Parameter(torch.empty(4 * hidden, 4).uniform_(-bound, bound))
        self.w_hh = nn.Parameter(torch.empty(4 * hidden, hidden).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(4 * hidden))
        # Columns: forget, input. Rows: the LSTM's units, the weight, the gate's last value.
        self.gates = nn.Parameter(torch.empty(hidden + 2, 2).uniform_(-0.01, 0.01))
        self.biases = nn.Parameter(torch.tensor([5.0, math.log(lr / (1 - lr))]))

    def start(self, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
        one = next(iter(weights.values()))
        count = sum(w.numel() for w in weights.values())
        zeros = one.new_zeros(count, self.hidden)
        return zeros, zeros, one.new_tensor([1.0, 0.0]).expand(count, 2)  # as if a step before had changed nothing

    def step(self, weights: Weights, gradients: Weights, memory: Any, loss: Tensor) -> tuple[Weights, Any]:
        h, c, gates = memory
        flat = torch.cat([w.flatten() for w in weights.values()])
        slope = torch.cat([gradients[name].flatten() for name in weights])
        seen = torch.cat([preprocessed(slope), preprocessed(loss).expand(len(slope), 2)], -1)
        h, c = lstm_cell(seen, h, c, self.w_ih, self.w_hh, self.b)
        below, at, last = self.gates.split([self.hidden, 1, 1])
        gates = torch.sigmoid(h @ below + flat.unsqueeze(-1) * at + gates * last + self.biases)
        flat = gates[:, 0] * flat - gates[:, 1] * slope
        parts = flat.split([w.numel() for w in weights.values()])
        return {n: p.view(w.shape) for (n, w), p in zip(weights.items(), parts, strict=True)}, (h, c, gates)


def preprocessed(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n 2"]:
    """Magnitude and sign, each of the order of one (Andrychowicz et al. 2016, arXiv:1606.04474, appendix A).

    >>> preprocessed(torch.tensor([1.0, -math.exp(-5), 0.0]))
    tensor([[ 0.0000,  1.0000],
            [-0.5000, -1.0000],
            [-1.0000,  0.0000]])
    """
    least = math.exp(-P)
    size = x.abs().clamp(min=least).log() / P
    return torch.stack([size, torch.where(x.abs() >= least, x.sign(), x / least)], -1)
