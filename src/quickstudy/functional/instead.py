"""Answer calls of torch's functions in another way, for any net and without touching it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode


class Instead(TorchFunctionMode):
    """While active, calls of some functions are answered by ours; where ours answers None, by torch.

    Args:
        ours: function of torch -> what is called in its place, with the same arguments.

    >>> import torch
    >>> with Instead({torch.relu: lambda x: x + 1}):
    ...     torch.relu(torch.zeros(2))
    tensor([1., 1.])
    """

    def __init__(self, ours: Mapping[Any, Callable[..., Any]]):
        super().__init__()
        self.ours = ours

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        ours = self.ours.get(func)
        made = None if ours is None else ours(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if made is None else made
