"""Map a function of one task over a batch of tasks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..functional.folded.calls import folding
from ..pytree import tree_leaves, tree_map
from ..rng import Rng, forked
from ..task import Task, batch_size, is_padded, take, trim
from .plan import Plan

_SAID: set[str] = set()


class NotVectorised(UserWarning):
    """A function could not be run over many tasks at once, so it is run over one after another."""


def map_tasks(fn: Callable[[Task, Rng | None], Any], tasks: Task, plan: Plan, *, rng: Rng | None = None) -> Any:
    """`fn(task, rng)` for each task of a batch; tensors of the results stacked along a new first dimension.

    Padded tasks are trimmed and looped over, so that `fn` never sees padding. Task number i is given the key
    `rng.at(i)`. A function that torch cannot vectorise is looped over, with the reason said once.

    Args:
        fn: pure, of one task; its result is a tensor, tuple, dict or state.
        tasks: a batch.
        plan: the way to run it; 'vmap' hands all tasks the same `rng`, so stochastic functions are looped over.
        rng: a key, or None.
    """
    if is_padded(tasks):
        return _loop(lambda task, r: fn(trim(task), r), tasks, rng)
    if plan.how == "loop":
        return _loop(fn, tasks, rng)
    count = batch_size(tasks)
    try:
        parts = [_vectorised(fn, take(tasks, slice(i, i + plan.chunk)), rng) for i in range(0, count, plan.chunk)]
    except RuntimeError as error:
        if "non-finite" in str(error):
            raise
        _say_once(fn, error)
        return _loop(fn, tasks, rng)
    return parts[0] if len(parts) == 1 else tree_map(lambda *leaves: torch.cat(leaves), *parts)


def _vectorised(fn: Callable[[Task, Rng | None], Any], tasks: Task, rng: Rng | None) -> Any:
    with folding():
        return torch.func.vmap(lambda task: fn(task, rng))(tasks)


def _loop(fn: Callable[[Task, Rng | None], Any], tasks: Task, rng: Rng | None) -> Any:
    results = []
    for i in range(batch_size(tasks)):
        key = None if rng is None else rng.at(i)
        # Dropout can only read the global generator, so each task gets it set to a key of its own.
        if key is not None:
            with forked(key):
                results.append(fn(take(tasks, i), key))
        else:
            results.append(fn(take(tasks, i), key))
    if any(not isinstance(leaf, Tensor) for leaf in tree_leaves(results[0])):
        raise TypeError("A mapped function gives back tensors only.")
    return tree_map(lambda *leaves: torch.stack(leaves), *results)


def _say_once(fn: Callable[..., Any], error: RuntimeError) -> None:
    owner = type(getattr(fn, "__self__", fn)).__name__
    reason = str(error).strip().splitlines()[0][:200]
    if (owner + reason) not in _SAID:
        _SAID.add(owner + reason)
        warnings.warn(f"{owner} is run one task after another: {reason}", NotVectorised, stacklevel=3)
