"""Embed all examples of a batch of tasks at once: fewer, larger operations, and batch norm over all of them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from ..functional.precision import run
from ..task import Task
from .plan import Plan

TOGETHER = Plan("vmap", 64, "what is left after embedding is small")


def embed_together(encoder: nn.Module, tasks: Task, *, describer: nn.Module | None = None) -> Task:
    """The same tasks with embeddings in the place of inputs, from one call of the encoder in the mode that it is in.

    Padding is left out of the call, since it would enter the statistics of batch norm, and is zero afterwards.

    Args:
        encoder: (n, *feature) -> (n, *embedding).
        tasks: a batch.
        describer: (n, *description) -> (n, *embedding), for descriptions of classes; left as they are when None. The
            encoder itself embeds them together with the examples.

    >>> from quickstudy.contract import made_up_tasks
    >>> from quickstudy.task import stack
    >>> embed_together(nn.Linear(8, 3), stack(made_up_tasks("classification"))).query.x.shape
    torch.Size([4, 6, 3])
    """
    sides = [(tasks.support.x, tasks.support.mask), (tasks.query.x, tasks.query.mask)]
    if describer is not None and tasks.description is not None:
        classes = None if tasks.origin is None or tasks.support.mask is None else tasks.origin.classes
        described = [(tasks.description, None if classes is None else classes >= 0)]
    else:
        described = []
    if describer is encoder:
        support, query, *rest = _embed(encoder, sides + described)
    else:
        support, query = _embed(encoder, sides)
        rest = _embed(describer, described) if describer is not None and described else []
    return dataclasses.replace(
        tasks,
        support=dataclasses.replace(tasks.support, x=support),
        query=dataclasses.replace(tasks.query, x=query),
        description=rest[0] if rest else tasks.description,
    )


def _embed(net: nn.Module, parts: list[tuple[Tensor, Tensor | None]]) -> list[Tensor]:
    """(T, n, *feature) inputs with their masks -> (T, n, *embedding), from one call."""
    x = torch.cat([inputs for inputs, _ in parts], 1)
    if all(mask is None for _, mask in parts):
        embedded = run(net, x.flatten(0, 1))
    else:
        real = torch.cat([_real(inputs, mask) for inputs, mask in parts], 1).flatten()
        rows = run(net, x.flatten(0, 1)[real])
        embedded = rows.new_zeros(len(real), *rows.shape[1:]).index_put((real,), rows)
    return list(embedded.unflatten(0, x.shape[:2]).split([inputs.shape[1] for inputs, _ in parts], 1))


def _real(x: Tensor, mask: Tensor | None) -> Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
