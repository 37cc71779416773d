"""What one run of meta-training holds between steps, and what a step is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ..engine.backward import Backward
from ..engine.budget import in_bytes
from ..engine.processes import Processes
from ..engine.tuning import tuned
from ..errors import TrainingStopped, UserError
from ..functional.batch_norm import has_batch_norm
from ..functional.precision import computing_in
from ..learner import Learner
from ..rng import Rng
from ..task import Task, on_device, take
from ..tasks.source import TaskSource
from .ahead import Ahead
from .checkpoint import Checkpoint, save_tensors
from .profile import OPTIMIZER, SAMPLING, STEP, VALIDATION, WAITING, Profile
from .record import Record, Scored
from .schedules import Schedule

Optimizers = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


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
        precision: str,
        profile: Profile,
    ):
        parameters = [p for p in learner.parameters() if p.requires_grad]
        if learner.meta_gradient == "none" or not parameters:
            raise UserError(f"{type(learner).__name__} has nothing to meta-train; evaluate it as it is.")
        self.learner, self.source, self.tasks, self.rng = learner, source, tasks, rng
        self.steps, self.limit, self.profile = steps, limit, profile
        self.memory = None if memory is None else in_bytes(memory)
        self.precision = precision
        self.parameters = parameters
        self.backward: Backward | None = None
        self.processes = Processes.here()
        self.share = self.processes.share(tasks)
        self.drawn = Ahead(self._draw)
        self._check_share()
        self.optimizer, self.schedule, self.validate, self.checkpoint = (
            optimizer(parameters),
            schedule,
            validate,
            checkpoint,
        )
        self.base = [group["lr"] for group in self.optimizer.param_groups]
        self.step = self.saved = 0
        self.between_steps = True
        self.seconds = 0.0
        self.best: float | None = None
        self.best_weights: dict[str, Tensor] = {}

    def _check_share(self) -> None:
        if self.processes.count > 1 and self.learner.joint and has_batch_norm(self.learner):
            raise UserError(
                f"{type(self.learner).__name__} embeds all tasks of a step together, with batch norm over them, so"
                " processes that share them out would train another net; use one process with more threads."
            )

    def _draw(self, step: int) -> Task:
        """This process's share of the tasks of a step, where the learner is."""
        drawn = self.source.sample(step * self.tasks + self.share.start, len(self.share))
        return on_device(drawn, self.learner.device)

    def advance(self, *, validating: bool) -> Record:
        """One outer step, and validation if it is due."""
        began = time.perf_counter()
        self.between_steps = False
        self.learner.train()
        self.learner.outer_step = self.step
        with self.profile.of(SAMPLING):
            batch = self.drawn(self.step)
        if self.backward is None:
            with computing_in(self.precision):
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
        self.between_steps = True
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
        """Objectives and metrics of all tasks of the step; the gradients are those of all too."""
        assert self.backward is not None
        versions = {name: b._version for name, b in self.learner.named_buffers()}
        with self.profile.of(STEP), computing_in(self.precision):
            found = self.backward(batch, self.rng.at("step", self.step), self.share.start, self.tasks)
        if self.processes.count == 1:
            return found
        moved = [name for name, b in self.learner.named_buffers() if b._version != versions[name]]
        if moved:
            raise UserError(
                f"{type(self.learner).__name__} lets {moved[0]} follow the tasks of a step one after another, which"
                " processes that share them out cannot; use one process with more threads."
            )
        with self.profile.of(WAITING):
            self.processes.add_up(self.parameters)
            objective, metric = (self.processes.joined(values, self.tasks) for values in found)
        return objective, metric

    def look_inside(self) -> None:
        """Have the profile say what is inside a step."""
        self.profile.look_inside(self.learner, self._draw(0), self.backward)

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
