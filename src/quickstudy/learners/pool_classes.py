"""Ordinary classification among the classes of a pool, as encoders are trained without episodes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from ..errors import BadExamples
from ..learner import Loss
from ..task import Task, batch_size, take, trim


def classify_pool(tasks: Task, logits: Callable[[Tensor], Tensor], *, classes: int, learner: str) -> Loss:
    """Cross-entropy of each task's examples among all classes of the pool, all of them answered at once.

    The metric is the share of queries whose class is found among all of them.

    Args:
        tasks: a batch, with the numbers of its classes in the pool.
        logits: (n, *feature) -> (n, classes).
        classes: of the pool, those kept aside included.
        learner: whose name an error gives.

    Raises:
        BadExamples: a task does not say which classes of the pool it has, or there are more of them than `classes`.
    """
    each = [trim(take(tasks, i)) for i in range(batch_size(tasks))]
    labels = [_pool_labels(task, classes, learner) for task in each]
    x = torch.cat([side.x for task in each for side in (task.support, task.query)])
    rows = []
    for task, output, y in zip(each, logits(x).split([len(y) for y in labels]), labels, strict=True):
        hits = (output.argmax(-1) == y)[len(task.support) :].to(output.dtype)
        rows.append((F.cross_entropy(output, y), hits.mean().detach()))
    return Loss(*(torch.stack(column) for column in zip(*rows, strict=True)))


def _pool_labels(task: Task, classes: int, learner: str) -> Int[Tensor, " n"]:
    if task.origin is None or task.origin.classes is None:
        raise BadExamples(f"{learner} is trained on the classes of a pool, but these tasks do not say which they have.")
    if int(task.origin.classes.min()) < 0 or int(task.origin.classes.max()) >= classes:
        raise BadExamples(
            f"A task has class {int(task.origin.classes.max())} of its pool, but this learner has classes"
            f" 0..{classes - 1}; make it with the number of classes in the pool, classes=..."
        )
    return task.origin.classes[torch.cat([task.support.y, task.query.y])]
