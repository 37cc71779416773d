"""What one run of meta-training holds between steps, and how it goes on after an interruption."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..engine.backward import Backward
from ..engine.budget import in_bytes
from ..engine.plan import Plan
from ..engine.processes import Processes
from ..engine.tuning import tuned
from ..errors import BadFile, TrainingStopped, UserError
from ..functional.batch_norm import has_batch_norm
from ..learner import Learner
from ..rng import Rng
from ..task import Task, take
from ..tasks.source import TaskSource
from .ahead import Ahead
from .checkpoint import Checkpoint, load_tensors, optimizer_tensors, restore_module, restore_optimizer, save_tensors
from .profile import OPTIMIZER, SAMPLING, SAVING, STEP, VALIDATION, WAITING, Profile
from .schedules import Schedule

Optimizers = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Scored(Protocol):
    """What validation gives back."""

    @property
    def score(self) -> float:
        """Higher is better."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One step of meta-training.

    Attributes:
        step: steps done, this one included.
        loss: mean objective over the tasks of the step.
        metric: mean query metric over them: share of right answers, or mean squared error in raw units.
        tasks: tasks seen so far.
        seconds: spent so far, earlier sessions included, validation included.
        rate: tasks a second in this step.
        validation: what `validate` gave back, on steps where it was asked.
        best: whether that is the best so far.
    """

    step: int
    loss: float
    metric: float
    tasks: int
    seconds: float
    rate: float
    validation: Any = None
    best: bool = False

    def __str__(self) -> str:
        judged = "" if self.validation is None else f", validation {self.validation}{' (best)' if self.best else ''}"
        return f"step {self.step}: loss {self.loss:.4g}, {self.rate:,.0f} tasks/s{judged}"


class Run:
    """What one run of meta-training holds between steps."""

    def __init__(
        self,
        learner: Learner,
        source: TaskSource,
        steps: int,
        tasks: int,
        optimizer: Optimizers,
        schedule: Schedule,
        rng: Rng,
        validate: Callable[[Learner], Scored] | None,
        checkpoint: Checkpoint | None,
        limit: float | None,
        memory: str | int | None,
        profile: Profile,
    ):
        parameters = [p for p in learner.parameters() if p.requires_grad]
        if learner.meta_gradient == "none" or not parameters:
            raise UserError(f"{type(learner).__name__} has nothing to meta-train; evaluate it as it is.")
        self.learner, self.source, self.tasks, self.rng = learner, source, tasks, rng
        self.steps, self.limit, self.profile = steps, limit, profile
        self.memory = None if memory is None else in_bytes(memory)
        self.parameters = parameters
        self.backward: Backward | None = None
        self.processes = Processes.here()
        self.share = self.processes.share(tasks)
        self.drawn = Ahead(lambda step: source.sample(step * tasks + self.share.start, len(self.share)))
        self._check_share()
        self.optimizer, self.schedule, self.validate, self.checkpoint = (
            optimizer(parameters),
            schedule,
            validate,
            checkpoint,
        )
        self.base = [group["lr"] for group in self.optimizer.param_groups]
        self.step = self.saved = 0
        self.seconds = 0.0
        self.best: float | None = None
        self.best_weights: dict[str, Tensor] = {}

    def _check_share(self) -> None:
        if self.processes.count > 1 and self.learner.joint and has_batch_norm(self.learner):
            raise UserError(
                f"{type(self.learner).__name__} embeds all tasks of a step together, with batch norm over them, so"
                " processes that share them out would train another net; use one process with more threads."
            )

    def advance(self, *, validating: bool) -> Record:
        """One outer step, and validation if it is due."""
        began = time.perf_counter()
        self.learner.train()
        self.learner.outer_step = self.step
        with self.profile.of(SAMPLING):
            batch = self.drawn(self.step)
        if self.backward is None:
            self.backward = self._engine(batch)
        for group, lr in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = lr * self.schedule(self.step)
        self.optimizer.zero_grad()
        objective, metric = self._backward(batch)
        self._check_finite(objective)
        with self.profile.of(OPTIMIZER):
            self.optimizer.step()
        self.step += 1
        spent = time.perf_counter() - began
        judged, best = None, False
        if validating and self.validate is not None:
            with self.profile.of(VALIDATION):
                judged = self.processes.told(None if self.processes.rank else self.validate(self.learner))
            best = self._keep_if_best(judged.score)
        self.seconds += time.perf_counter() - began
        return Record(
            self.step,
            objective.mean().item(),
            metric.mean().item(),
            self.step * self.tasks,
            self.seconds,
            self.tasks / spent,
            judged,
            best,
        )

    def _engine(self, batch: Task) -> Backward:
        """How batches like this one are run: as before the interruption, as asked for, or as is fastest here."""
        if self.learner.plan is None:
            left = None if self.limit is None else self.limit - self.seconds
            self.learner.plan = self.processes.told(
                tuned(self.learner, batch, self.steps - self.step, left, self.memory)
            )
        return Backward(self.learner, self.learner.plan)

    def _backward(self, batch: Task) -> tuple[Tensor, Tensor]:
        """Objectives and metrics of all tasks of the step; gradients, and buffers that moved, are those of all too."""
        assert self.backward is not None
        buffers = [b for b in self.learner.buffers() if b.is_floating_point()]
        before = [b._version for b in buffers]
        with self.profile.of(STEP):
            found = self.backward(batch, self.rng.at("step", self.step), self.share.start, self.tasks)
        if self.processes.count == 1:
            return found
        moved = [b for b, version in zip(buffers, before, strict=True) if b._version != version]
        with self.profile.of(WAITING):
            self.processes.add_up(self.parameters)
            self.processes.average(moved, len(self.share) / self.tasks)
            objective, metric = (self.processes.joined(values, self.tasks) for values in found)
        return objective, metric

    def look_inside(self) -> None:
        """Have the profile say what is inside a step."""
        self.profile.look_inside(self.learner, self.source.sample(0, self.tasks), self.backward)

    def over(self, seconds: float | None) -> bool:
        """Whether the time is up, for one process and so for all."""
        return seconds is not None and self.processes.any(self.seconds >= seconds)

    def _check_finite(self, objective: Tensor) -> None:
        bad = (~torch.isfinite(objective)).nonzero().flatten().tolist()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not bad and all(bool(torch.isfinite(g).all()) for g in gradients):
            return
        self.optimizer.zero_grad()
        first = self.step * self.tasks
        if not bad:
            where = f"a gradient is not finite in episodes {first} to {first + self.tasks - 1}"
        else:
            where = f"the loss of episode {first + bad[0]} is {objective[bad[0]].item()}"
        one = take(self.source.sample(first + (bad[0] if bad else 0), 1), 0)
        if not bool(torch.isfinite(one.support.x).all() and torch.isfinite(one.query.x).all()):
            cause = "its inputs hold NaN or infinity: clean the data"
        elif not all(bool(torch.isfinite(p).all()) for p in self.learner.parameters()):
            cause = "the weights were not finite before it: begin again from an earlier checkpoint with a lower rate"
        else:
            cause = "a rate is too high, most likely: lower the inner lr, or the optimizer's"
        raise TrainingStopped(
            f"Stopped at step {self.step + 1}: {where} ({self.source.name}, {self.source.split}). Likely: {cause}."
            " The weights are those before this step."
        )

    def _keep_if_best(self, score: float) -> bool:
        if self.best is not None and not score > self.best:
            return False
        self.best = score
        self.best_weights = {name: t.detach().clone() for name, t in self.learner.state_dict().items()}
        if self.checkpoint is not None and self.processes.rank == 0:
            save_tensors(self.checkpoint.best, self.best_weights, {"step": self.step, "score": score})
        return True

    def restore_best(self) -> None:
        """Leave the learner with the weights that validated best, if anything was validated."""
        if self.best_weights:
            self.learner.load_state_dict(self.best_weights)

    @property
    def _identity(self) -> dict[str, Any]:
        """What has to be the same for a resumed run to be the same run."""
        protocol = {k: list(v) if isinstance(v, tuple) else v for k, v in self.source.protocol.items()}
        return {"learner": type(self.learner).__name__, "seed": self.source.seed, "split": self.source.split} | {
            "tasks": self.tasks,
            "protocol": protocol,
        }

    def save(self) -> None:
        """Write everything that the next step depends on."""
        assert self.checkpoint is not None
        self.saved = self.step
        if self.processes.rank:
            return
        tensors, optimizer = optimizer_tensors(self.optimizer)
        tensors |= {f"learner/{name}": t for name, t in self.learner.state_dict().items()}
        about = {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "optimizer": optimizer,
            "base": self.base,
            "plan": dataclasses.asdict(self.learner.plan) if self.learner.plan else None,
            "threads": torch.get_num_threads(),
            "run": self._identity,
        }
        with self.profile.of(SAVING):
            save_tensors(self.checkpoint.last, tensors, about)

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if self.checkpoint is None:
            raise UserError("To resume, say where the checkpoints are: checkpoint=Checkpoint(folder).")
        if not self.checkpoint.last.exists():
            return
        tensors, about = load_tensors(self.checkpoint.last)
        for key, value in self._identity.items():
            if about["run"].get(key) != value:
                raise BadFile(
                    f"The checkpoint at {self.checkpoint.last} is of another run: its {key} is {about['run'].get(key)},"
                    f" here it is {value}. Choose another folder, or do not resume."
                )
        if about["threads"] != torch.get_num_threads() and self.processes.count == 1:
            warnings.warn(
                f"The run was begun with {about['threads']} threads and goes on with {torch.get_num_threads()}: results"
                " may differ in the last bits.",
                stacklevel=2,
            )
        weights = {n.removeprefix("learner/"): t for n, t in tensors.items() if n.startswith("learner/")}
        restore_module(self.learner, weights, self.checkpoint.last)
        restore_optimizer(self.optimizer, tensors, about["optimizer"])
        self.step = self.saved = about["step"]
        self.seconds, self.best, self.base = about["seconds"], about["best"], about["base"]
        self.learner.plan = Plan(**about["plan"]) if about["plan"] else None
        if self.best is not None:
            self.best_weights, _ = load_tensors(self.checkpoint.best)
