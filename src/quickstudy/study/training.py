"""Learners of a study: made from their entries, and trained against the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from ..learner import Learner
from ..learners.standardised import Standardised
from ..loops.meta_train import meta_train
from ..loops.record import Record
from ..loops.schedules import cosine
from ..registry import build
from ..rng import Rng, forked
from ..tasks.episodes import Episodes
from .entries import Entry, Table, Tasks
from .findings import Row


def made(entry: Entry, rows: Sequence[Row], source: Tasks, seed: int) -> Learner:
    """The learner of an entry, with the networks that it takes over from those in `rows`."""
    modules: dict[str, nn.Module] = {}
    table = _with_parts(entry.learner, {row.entry.name: row.learner for row in rows}, modules)
    with forked(Rng(seed).at("init", entry.name)):
        learner: Learner = build("learner", table, **modules)
    if isinstance(learner, Standardised):
        learner.fit_scale(source)
    return learner


def trained(entry: Entry, learner: Learner, tasks: Tasks, seconds: float, seed: int) -> Iterator[Record]:
    """Train for so many seconds, a record each step."""
    source = tasks.train
    if isinstance(source, Episodes):
        options = dict(entry.options)
        if "ways" in options:
            options["ways"] = min(options["ways"], len(source.pool.members("train")))
        if "queries" in options:  # no more than the classes are known to have
            options["queries"] = min(options["queries"], source.queries)
        source = source.replaced(**options)
    end = time.perf_counter() + seconds
    # The rate falls to zero as the time runs out, however fast this machine is.
    return meta_train(
        learner,
        source,
        steps=10**9,
        tasks=entry.tasks,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=entry.lr),
        schedule=_by_clock(lambda: 1 - (end - time.perf_counter()) / seconds),
        rng=Rng(seed).at(entry.name),
        seconds=seconds,
    )


def _with_parts(table: Table, learners: dict[str, Learner], modules: dict[str, nn.Module]) -> Table:
    """The table without its '$NAME's; the encoder or net of that learner goes to `modules` under the key it had."""
    made = {}
    for key, value in table.items():
        if isinstance(value, dict):
            made[key] = _with_parts(value, learners, modules)
        elif isinstance(value, str) and value.startswith("$"):
            learner = learners[value[1:]]
            whole = learner.learner if isinstance(learner, Standardised) else learner
            modules[key] = whole.get_submodule(key)
        else:
            made[key] = value
    return made


def _by_clock(fraction: Callable[[], float]) -> Callable[[int], float]:
    """A cosine over a share of time rather than a number of steps."""
    shape = cosine(1_000)
    return lambda step: shape(round(1_000 * fraction()))
