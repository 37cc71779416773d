"""What the statistics of batch norm are taken over, decided from outside the net.

Which examples normalise which is the commonest silent leak of few-shot learning: a net in training mode normalises a
query with the other queries. So it is a policy here, one of `POLICIES`, and any module with `nn.BatchNorm*d` in it
obeys, unmodified. Where torch maps over tasks it is the folded one, or written out, since `vmap` over `F.batch_norm`
gives a wrong second-order gradient without a word (torch 2.13: 0.5 to 6.5 %).
"""

from __future__ import annotations

import contextlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .folded.normalisation import BatchNorm
from .instead import Instead
from .merged import merging
from .precision import lowered, raised

POLICIES = ("batch", "support", "running")

Statistics = tuple[tuple[Tensor, Tensor], ...]  # (mean, variance) of each norm layer, in the order in which they run


def has_batch_norm(module: nn.Module) -> bool:
    """Whether statistics over examples play a part in this net."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in module.modules())


def _mapped() -> bool:
    """Whether torch is mapping over tasks."""
    stack = torch._C._functorch.get_interpreter_stack()
    return any(level.key() == torch._C._functorch.TransformType.Vmap for level in stack or ())


def normalise(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Batch norm written out, with given statistics: exact under every transform."""
    shape = (1, -1) + (1,) * (x.dim() - 2)
    scale = torch.rsqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return x * scale.view(shape) + shift.view(shape)


class _BatchNorm:
    """Batch norm that takes its statistics from the batch, a given list, or its own buffers."""

    def __init__(self, given: Statistics | None, record: list[tuple[Tensor, Tensor]] | None, *, running: bool = False):
        self.given, self.record, self.count, self.running = given, record, 0, running

    def __call__(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        del training, momentum
        if self.running and running_mean is not None and running_var is not None:
            return normalise(x, running_mean, running_var, weight, bias, eps)
        if self.given is not None:
            mean, variance = self.given[self.count]
            self.count += 1
            return normalise(x, mean, variance, weight, bias, eps)
        # Torch's own refuses one value a channel.
        if self.record is None and x.numel() > x.shape[1]:
            if not _mapped():
                return F.batch_norm(x, None, None, weight, bias, True, 0.0, eps)
            if weight is not None and bias is not None:
                return BatchNorm.apply(x, weight, bias, eps)[0]
        axes = [0, *range(2, x.dim())]
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # statistics need more than layers do
        mean = x.mean(axes)
        variance = (x - mean.view((1, -1) + (1,) * (x.dim() - 2))).square().mean(axes)
        if self.record is not None:
            self.record.append((mean, variance))
        return normalise(x, mean, variance, weight, bias, eps)


def call(
    net: nn.Module,
    weights: dict[str, Tensor],
    x: Tensor,
    *,
    statistics: Statistics | None = None,
    policy: str = "batch",
    record: list[tuple[Tensor, Tensor]] | None = None,
) -> Tensor:
    """`net(x)` with some of its parameters replaced, leaving the net and its buffers as they were.

    Args:
        net: any module.
        weights: parameter name -> tensor; what is not named is the net's own.
        x: (n, *feature).
        statistics: what a `record` of an earlier call holds: batch norm uses these.
        policy: 'batch' (statistics of this batch), 'support' (`statistics`; of this batch while they are recorded) or
            'running' (the net's own running statistics, in training mode too).
        record: a list that is given the statistics of each norm layer.
    """
    if not has_batch_norm(net) or (policy == "running" and not net.training):
        # Cloned buffers take whatever a module in training mode writes.
        buffers = {name: b.clone() for name, b in net.named_buffers()} if net.training else {}
        plain = weights or net.training or torch.is_grad_enabled()
        with lowered(x), contextlib.nullcontext() if plain else merging(net):
            output = torch.func.functional_call(net, {**buffers, **weights}, (x,))
        return raised(output)
    buffers = {name: b.clone() for name, b in net.named_buffers()}
    with lowered(x), Instead({F.batch_norm: _BatchNorm(statistics, record, running=policy == "running")}):
        output = torch.func.functional_call(net, {**buffers, **weights}, (x,))
    return raised(output)
