"""What nets compute in. Their layers may take bfloat16: half the memory, and a fraction of the time where a machine
multiplies it (Conv-4 on a CPU with AVX512-BF16: a third). Weights, losses, distances, solvers and updates never do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from ..errors import UnknownName

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}

_LOWER: ContextVar[torch.dtype | None] = ContextVar("lower", default=None)


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """While active, nets that are called through `run` or `batch_norm.call` compute in this precision.

    Args:
        precision: one of `PRECISIONS`; 'float32' leaves every net as it is, of whatever type.

    Raises:
        UnknownName: it is no such thing.
    """
    if precision not in PRECISIONS:
        raise UnknownName.among("precision", precision, PRECISIONS)
    token = _LOWER.set(PRECISIONS[precision])
    try:
        yield
    finally:
        _LOWER.reset(token)


def computed_in() -> str:
    """The precision that is active."""
    return next(name for name, dtype in PRECISIONS.items() if dtype is _LOWER.get())


def lowered(x: Tensor) -> contextlib.AbstractContextManager[None]:
    """Let the layers that are called inside compute in the precision that is active."""
    dtype = _LOWER.get()
    if dtype is None:
        return contextlib.nullcontext()
    # What autocast keeps of weights that it has cast does not outlive a level of torch.func.
    return torch.autocast(x.device.type, dtype, cache_enabled=False)


def raised(output: Tensor) -> Tensor:
    """What layers gave, for everything that is not a layer."""
    return output if _LOWER.get() is None else output.to(torch.float32)


def run(net: nn.Module, x: Tensor) -> Tensor:
    """`net(x)`, its layers in the precision that is active.

    >>> with computing_in("bfloat16"):
    ...     run(nn.Linear(2, 1), torch.zeros(3, 2)).dtype
    torch.float32
    """
    with lowered(x):
        output = net(x)
    return raised(output)
