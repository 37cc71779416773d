"""Probes of a state: a learned task is a value that can be kept, sent and gone on from."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...learner import Learner
from ...pytree import tree_flatten, tree_leaves
from ...state import Envelope, fingerprint, load_state, save_state
from ...task import Task, on_device
from .answers import KEY, answer, ask, difference
from .finding import Finding, inapplicable


def same_state(a: Any, b: Any) -> bool:
    """Whether two states agree bit for bit."""
    (x, spec), (y, other) = tree_flatten(a), tree_flatten(b)
    return spec == other and all(map(_same_leaf, x, y))


def _same_leaf(a: Any, b: Any) -> bool:
    if not isinstance(a, Tensor):
        return bool(a == b)
    same = a.dtype == b.dtype and a.shape == b.shape
    return same and bool(((a == b) | (a.isnan() & b.isnan())).all())


def on_one_device(learner: Learner, tasks: Sequence[Task]) -> Finding:
    """Adapting and answering on torch's device of shapes without numbers, which any other refuses to be mixed with."""
    name = "everything follows the weights' device"
    learner, task = copy.deepcopy(learner).to("meta"), on_device(tasks[0], torch.device("meta"))
    try:
        output = answer(learner, task)
    except (NotImplementedError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:120]
        if "device" in reason:
            return Finding(name, False, reason)
        return inapplicable(name, f"it looks at values ({reason})")
    where = output.device.type
    return Finding(name, where == "meta", f"tensors made on the way are where the weights are, answers on '{where}'")


def saved(learner: Learner, tasks: Sequence[Task]) -> Finding:
    """A state that is saved and read again: bit for bit, and it answers as before."""
    name = "a state can be saved"
    task = tasks[0]
    with tempfile.TemporaryDirectory() as folder:
        state = learner.adapt(task.support, task.description, rng=KEY)
        path = Path(folder) / "state.safetensors"
        try:
            save_state(state, path, Envelope(fingerprint(learner), (), task.kind, tuple(task.support.x.shape[1:])))
            again: Any = load_state(path, learner.State)[0]
        except TypeError as error:
            return Finding(name, False, str(error))
        if not same_state(state, again):
            return Finding(name, False, "what is read is not bit for bit what was saved")
        # A tensor that was stored by columns comes back stored by rows, and sums are then rounded in another order.
        apart = difference(ask(learner, state, task.query.x), ask(learner, again, task.query.x))
        if apart > 1e-5:
            return Finding(name, False, f"the saved state answers otherwise, by {apart:.1e}", apart, 1e-5)
    return Finding(name, True, f"{len(tree_leaves(state))} tensors, bit for bit")


def updated(learner: Learner, tasks: Sequence[Task], limit: float = 1e-3) -> Finding:
    """A state that goes on with more examples against one that had them all."""
    name = "update equals adapting to all"
    if type(learner).update is Learner.update:
        return inapplicable(name, "it can only adapt again with all examples")
    worst = 0.0
    for task in tasks:
        half = torch.arange(len(task.support)) < (len(task.support) + 1) // 2
        first, more = task.support.select(half), task.support.select(~half)
        try:
            state = learner.update(learner.adapt(first, task.description, rng=KEY), more)
        except NotImplementedError as error:  # a wrapper around a learner that cannot
            return inapplicable(name, str(error))
        worst = max(worst, difference(answer(learner, task), ask(learner, state, task.query.x)))
    return Finding(name, worst < limit, f"answers differ by {worst:.1e}, limit {limit:.0e}", worst, limit)
