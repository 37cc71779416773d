"""Which device a run is on, and whether it is there."""

from __future__ import annotations

import torch

from ..errors import UserError

KINDS = ("cpu", "cuda", "mps")


def device_of(name: str) -> torch.device:
    """'cpu', 'cuda', 'cuda:1', 'mps', or 'auto' for the best that there is, as torch's device.

    Raises:
        UserError: there is no such device here.

    >>> device_of("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device(next(kind for kind in reversed(KINDS) if _count(kind)))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in KINDS:
        raise UserError(f"device is '{name}'; it must be auto, cpu, cuda, cuda:NUMBER or mps.")
    if (device.index or 0) >= _count(device.type):
        found = ", ".join(f"{count} {kind}" for kind in KINDS if (count := _count(kind)))
        raise UserError(
            f"device is '{name}', but torch {torch.__version__} finds only {found}; use --device auto, or install the"
            " build of torch for your card (pytorch.org/get-started)."
        )
    return device


def _count(kind: str) -> int:
    """How many devices of a kind there are."""
    if kind == "cuda":
        return torch.cuda.device_count()
    return 1 if kind == "cpu" else int(torch.backends.mps.is_available())


def wait_for(device: torch.device) -> None:
    """Let a device finish what it was given, so that a clock tells the truth."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
