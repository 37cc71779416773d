"""Several processes that train one learner: tasks are shared out, gradients summed in the order of the tasks."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import ProcessGone, UserError

PATIENCE = datetime.timedelta(hours=2)  # while one process validates, the others wait; a dead one is noticed at once


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process among those that train together; alone by default.

    Every process draws its own share of the tasks of a step, so none is sent. Then gradients are added up in the order
    of the tasks, and each takes the same step: weights are never sent either.

    Args:
        rank: number of this process.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Processes:
        """Those that torch.distributed knows of in this process."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    def share(self, tasks: int) -> range:
        """The numbers of the tasks of a step that are this process's.

        Raises:
            UserError: there are more processes than tasks.

        >>> [list(Processes(rank, 2).share(5)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        if tasks < self.count:
            raise UserError(
                f"{self.count} processes share the {tasks} task{'s' * (tasks > 1)} of a step, which leaves some idle;"
                f" use at most {tasks} processes, or more tasks a step."
            )
        return range(tasks * self.rank // self.count, tasks * (self.rank + 1) // self.count)

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the sum over all processes in the place of every gradient."""
        if self.count == 1:
            return
        moved = list(parameters)
        own = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in moved])
        total = torch.zeros_like(own)
        for part in self._from_all(own):
            total += part
        for p, part in zip(moved, total.split([p.numel() for p in moved]), strict=True):
            p.grad = torch.zeros_like(p)
            p.grad.copy_(part.view(p.shape))

    def joined(self, values: Tensor, tasks: int) -> Tensor:
        """(T,) numbers of all tasks, from those of each share; NaN for tasks that a process did not come to."""
        if self.count == 1:
            return values
        longest = -(-tasks // self.count)
        own = torch.full((longest,), torch.nan, dtype=values.dtype, device=values.device)
        own[: len(values)] = values
        parts = self._from_all(own)
        sizes = [len(Processes(rank, self.count).share(tasks)) for rank in range(self.count)]
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def told(self, value: Any) -> Any:
        """What the first process says, for all."""
        if self.count == 1:
            return value
        box = [value]
        with _noticing():
            dist.broadcast_object_list(box)
        return box[0]

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return flag if self.count == 1 else any(bool(part) for part in self._from_all(torch.tensor([flag])))

    def _from_all(self, own: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(own) for _ in range(self.count)]
        with _noticing():
            dist.all_gather(parts, own)
        return parts


@contextlib.contextmanager
def _noticing() -> Iterator[None]:
    """A process that is gone ends the run with one message."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessGone(
            "Another process of this run is gone (killed, out of memory, or stopped by an error that it printed); this"
            f" one stops too. Go on from the last checkpoint with --resume. ({str(error).partition(chr(10))[0][:120]})"
        ) from error


@contextlib.contextmanager
def joined_from_environment() -> Iterator[Processes]:
    """Join the processes that torchrun, or `quickstudy train --processes`, has started beside this one.

    Each computes on its share of the cores unless OMP_NUM_THREADS says otherwise.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    # Optimizers load it. Loaded after the processes have joined, it would keep the threads that talk to the others
    # alive to the end of the interpreter, which aborts now and then (torch 2.13).
    importlib.import_module("torch._dynamo")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    with _noticing():
        dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes.here()
    finally:
        dist.destroy_process_group()
