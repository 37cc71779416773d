"""Frozen dataclasses whose tensors torch can map over: the one way in which our values travel through `vmap`."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, dataclass_transform

from torch.utils import _pytree as torch_pytree

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def pytree(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass and a PyTorch pytree.

    Fields that are None are not leaves (torch would try to batch them), and fields made with `static()` belong to the
    structure: two values with other statics have another structure, so shapes never depend on data.

    >>> @pytree
    ... class Pair:
    ...     first: object
    ...     second: object = None
    >>> leaves, spec = torch_pytree.tree_flatten(Pair(1))
    >>> leaves, torch_pytree.tree_unflatten(leaves, spec)
    ([1], Pair(first=1, second=None))
    """
    made = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    static = tuple(f.name for f in fields if f.metadata.get("static"))
    moving = tuple(f.name for f in fields if not f.metadata.get("static"))

    def flatten(value: Any) -> tuple[list[Any], Any]:
        present = tuple(name for name in moving if getattr(value, name) is not None)
        return [getattr(value, n) for n in present], (present, tuple(getattr(value, n) for n in static))

    def unflatten(leaves: Any, context: Any) -> Any:
        present, statics = context
        # Past __post_init__ on purpose: inside a transform the leaves may be anything, and were checked on the way in.
        value = object.__new__(made)
        values = (
            dict.fromkeys(moving) | dict(zip(present, leaves, strict=True)) | dict(zip(static, statics, strict=True))
        )
        for name, item in values.items():
            object.__setattr__(value, name, item)
        return value

    torch_pytree.register_pytree_node(
        made, flatten, unflatten, serialized_type_name=f"{cls.__module__}.{cls.__qualname__}"
    )
    return made


def static(default: Any = dataclasses.MISSING) -> Any:
    """A field that is part of the structure: a number, a string or a tuple, never a tensor."""
    return dataclasses.field(default=default, metadata={"static": True})


tree_map = torch_pytree.tree_map
tree_leaves = torch_pytree.tree_leaves
tree_flatten = torch_pytree.tree_flatten
tree_unflatten = torch_pytree.tree_unflatten
