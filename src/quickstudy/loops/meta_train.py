"""Meta-training: a generator of records, with everything else plain code around it."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Generator
from functools import partial

import torch

from ..learner import Learner
from ..rng import Rng
from ..tasks.source import TaskSource
from .checkpoint import Checkpoint
from .profile import Profile
from .record import Record, Scored
from .resume import end, go_on, save
from .run import Optimizers, Run
from .schedules import Schedule, constant

ADAM: Optimizers = partial(torch.optim.Adam, lr=1e-3)


def meta_train(
    learner: Learner,
    source: TaskSource,
    *,
    steps: int,
    tasks: int = 1,
    optimizer: Optimizers = ADAM,
    schedule: Schedule | None = None,
    rng: Rng | None = None,
    validate: Callable[[Learner], Scored] | None = None,
    every: int = 500,
    checkpoint: Checkpoint | None = None,
    resume: bool = False,
    seconds: float | None = None,
    memory: str | int | None = None,
    precision: str = "float32",
    profile: Profile | None = None,
) -> Generator[Record, None, None]:
    """Train a learner over tasks, one record a step; stopping to iterate stops the training.

    The episodes of step s are number s * tasks and on, whatever happened before, so a resumed run is the same run,
    bit for bit (same machine, same threads). When all steps are done and there was validation, the learner is left with
    the weights that validated best.

    Tasks are sent to the device that the learner's weights are on.

    Where torch.distributed has been joined (see `engine.processes`), the tasks of a step are shared out to the
    processes; episodes, gradients and records are those of a run alone, and the first process validates and saves.

    Args:
        learner: changed in place.
        source: where tasks come from; its training split, usually.
        steps: outer steps.
        tasks: tasks a step (the meta-batch).
        optimizer: parameters -> torch optimizer.
        schedule: step -> factor on the optimizer's rate.
        rng: key for learners that draw random numbers.
        validate: learner -> something with a `score`, on fixed tasks; see `evaluation.evaluate`.
        every: steps between validations.
        checkpoint: where and how often to save.
        resume: go on from `checkpoint.last` if it is there.
        seconds: stop after the step that passes this much time.
        memory: that this process is to keep within, such as '2GiB': fewer tasks at a time, and inner steps that are
            computed again in place of being kept, as far as that is needed; gradients stay exact.
        precision: what the layers of nets compute in, 'float32' or 'bfloat16'; see `functional.precision`. Weights,
            losses and validation stay as they are.
        profile: is told where time and memory went.

    Raises:
        UserError: there is nothing to train, or not even one task fits into the memory.
        TrainingStopped: a loss or gradient is not finite; the weights are those before the step.
        BadFile: a checkpoint that cannot be read, or is of another run.
    """
    run = Run(
        learner,
        source,
        steps,
        tasks,
        optimizer,
        schedule or constant(),
        rng or Rng(0),
        validate,
        checkpoint,
        seconds,
        memory,
        precision,
        profile or Profile(),
    )
    if resume:
        go_on(run)
    # A program that ends with an error drops the loop it holds only when torch is half taken down, too late to save.
    last = atexit.register(partial(end, run))
    try:
        while run.step < steps and not run.over(seconds):
            record = run.advance(validating=(run.step + 1) % every == 0 or run.step + 1 == steps)
            if checkpoint is not None and run.step % checkpoint.every == 0:
                save(run)
            yield record
    finally:
        atexit.unregister(last)
        end(run)
    if profile is not None:
        run.look_inside()
    if validate is not None:
        run.restore_best()
