"""Checkpoints: everything that the next step depends on, in one file that is whole or not there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BadFile
from ..state import read_tensors, write_tensors

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved.

    Args:
        folder: holds last.safetensors (to go on from) and best.safetensors (the weights that validated best).
        every: steps between two savings.
    """

    folder: Path
    every: int = 500

    @property
    def last(self) -> Path:
        """The file to go on from."""
        return Path(self.folder) / "last.safetensors"

    @property
    def best(self) -> Path:
        """The weights that did best on validation tasks."""
        return Path(self.folder) / "best.safetensors"


def save_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and JSON facts to one file, atomically, with a checksum over the tensors."""
    write_tensors(path, "checkpoint", FORMAT, tensors, {"about": json.dumps(about)})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint.

    Raises:
        BadFile: missing, truncated, altered or of a newer format.
    """
    tensors, facts = read_tensors(path, "checkpoint", FORMAT)
    return tensors, json.loads(facts["about"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as named tensors and JSON (numbers survive JSON exactly)."""
    state = optimizer.state_dict()
    tensors, plain = {}, {}
    for number, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{number}/{key}"] = value
            else:
                plain[f"{number}/{key}"] = value
    return tensors, {"groups": state["param_groups"], "plain": plain}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Put an optimizer back where `optimizer_tensors` found it."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimizer":
            number, _, key = rest.partition("/")
            # A clone, since results depend on where in memory a tensor begins, and a file puts it anywhere.
            state.setdefault(int(number), {})[key] = value.clone()
    for name, value in about["plain"].items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})


def restore_module(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy weights into a module.

    Raises:
        BadFile: names or shapes differ: the checkpoint is of another learner.
    """
    own = module.state_dict()
    if set(own) != set(tensors) or any(own[n].shape != tensors[n].shape for n in own):
        odd = sorted(set(own) ^ set(tensors)) or [n for n in own if own[n].shape != tensors[n].shape]
        raise BadFile(
            f"The checkpoint at {path} is of another learner: '{odd[0]}' is missing or has another shape here."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
