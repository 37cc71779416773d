"""Save a run, and go on with it: the same run, bit for bit."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import torch

from ..engine.plan import Plan
from ..errors import BadFile, UserError
from .checkpoint import load_tensors, optimizer_tensors, restore_module, restore_optimizer, save_tensors
from .profile import SAVING

if TYPE_CHECKING:
    from .run import Run


def save(run: Run) -> None:
    """Write everything that the next step depends on."""
    assert run.checkpoint is not None
    run.saved = run.step
    if run.processes.rank:
        return
    tensors, optimizer = optimizer_tensors(run.optimizer)
    tensors |= {f"learner/{name}": t for name, t in run.learner.state_dict().items()}
    about = {
        "step": run.step,
        "seconds": run.seconds,
        "best": run.best,
        "optimizer": optimizer,
        "base": run.base,
        "plan": dataclasses.asdict(run.learner.plan) if run.learner.plan else None,
        "gradients": _gradients(run),
        "memory": run.memory,
        "threads": torch.get_num_threads(),
        "run": _identity(run),
    }
    with run.profile.of(SAVING):
        save_tensors(run.checkpoint.last, tensors, about)


def end(run: Run) -> None:
    """Let go of what a run holds, and save what came after its last checkpoint."""
    run.drawn.close()
    # In the middle of a step weights and optimizer may disagree; then the checkpoint before it is the one to keep.
    if run.between_steps and run.checkpoint is not None and run.step > run.saved:
        save(run)


def go_on(run: Run) -> None:
    """Go on from the last checkpoint, if there is one."""
    if run.checkpoint is None:
        raise UserError("To resume, say where the checkpoints are: checkpoint=Checkpoint(folder).")
    if not run.checkpoint.last.exists():
        return
    tensors, about = load_tensors(run.checkpoint.last)
    here = _identity(run)
    for key, value in about["run"].items():
        if here.get(key) != value:
            raise BadFile(
                f"The checkpoint at {run.checkpoint.last} is of another run: its {key} is {value},"
                f" here it is {here.get(key)}. Choose another folder, or do not resume."
            )
    if about["threads"] != torch.get_num_threads() and run.processes.count == 1:
        warnings.warn(
            f"The run was begun with {about['threads']} threads and goes on with {torch.get_num_threads()}: results"
            " may differ in the last bits.",
            stacklevel=2,
        )
    weights = {n.removeprefix("learner/"): t for n, t in tensors.items() if n.startswith("learner/")}
    restore_module(run.learner, weights, run.checkpoint.last)
    restore_optimizer(run.optimizer, tensors, about["optimizer"])
    run.step = run.saved = about["step"]
    run.seconds, run.best, run.base = about["seconds"], about["best"], about["base"]
    if about["plan"] and about.get("memory") == run.memory:
        run.learner.plan = Plan(**about["plan"])
        for name, gradient in about.get("gradients", {}).items():
            run.learner.get_submodule(name).gradient = gradient
    if run.best is not None:
        run.best_weights, _ = load_tensors(run.checkpoint.best)


def _gradients(run: Run) -> dict[str, str]:
    """How each module inside computes meta-gradients, which a limit on memory may have changed."""
    found = {name: getattr(module, "gradient", None) for name, module in run.learner.named_modules()}
    return {name: gradient for name, gradient in found.items() if isinstance(gradient, str)}


def _identity(run: Run) -> dict[str, Any]:
    """What has to be the same for a resumed run to be the same run."""
    protocol = {k: list(v) if isinstance(v, tuple) else v for k, v in run.source.protocol.items()}
    return {"learner": type(run.learner).__name__, "seed": run.source.seed, "split": run.source.split} | {
        "precision": run.precision,
        "tasks": run.tasks,
        "protocol": protocol,
    }
