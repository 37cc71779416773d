"""A limit on memory: kept, by fewer tasks at a time or by computing inner steps again, or refused with the figures."""

from __future__ import annotations

import math

import pytest
import torch

from quickstudy.contract import made_up_tasks
from quickstudy.engine import budget
from quickstudy.engine.budget import in_bytes, within
from quickstudy.engine.plan import Plan
from quickstudy.engine.tuning import tuned
from quickstudy.errors import UserError
from quickstudy.learners.gradient.maml import MAML
from quickstudy.learners.metric.prototypical import Prototypical
from quickstudy.machine import memory_now
from quickstudy.nets.conv4 import Conv4
from quickstudy.task import Task, stack

MEGA = 10**6
linux = pytest.mark.skipif(math.isnan(memory_now()), reason="this system does not say what a process holds")


def batch(count: int = 8) -> Task:
    return stack(made_up_tasks("classification", feature=(1, 16, 16), count=count))


def learner(steps: int = 4) -> MAML:
    return MAML(Conv4(size=16, width=4, outputs=3), steps=steps).train()


@pytest.mark.parametrize(
    ("written", "size"), [("2GiB", 2**31), ("500 MB", 500 * MEGA), ("1.5kb", 1500), (123, 123), ("123", 123)]
)
def test_sizes_are_read(written: str | int, size: int) -> None:
    assert in_bytes(written) == size


@pytest.mark.parametrize("written", ["", "much", "2 parsecs", "-1GB", "1..2GB", "0"])
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(UserError, match="write it like 2GiB"):
        in_bytes(written)


def peaks(monkeypatch: pytest.MonkeyPatch, *found: tuple[float, float], before: float = 200) -> None:
    """Let the process hold so much before; and at most, and in results, each time that a piece is run."""
    left = iter(found)
    monkeypatch.setattr(budget, "memory_now", lambda: before * MEGA)
    monkeypatch.setattr(budget, "_peak", lambda *_: tuple(size * MEGA for size in next(left)))


def test_as_many_tasks_at_a_time_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks(monkeypatch, (300, 0), (350, 50))
    fits = within(learner(), batch(), 500 * MEGA)
    assert fits(Plan("loop", 1, "")) and fits(Plan("vmap", 4, "")) and not fits(Plan("vmap", 5, ""))
    assert fits(Plan("flat", 3, "")) and not fits(Plan("flat", 2, "", 2))
    peaks(monkeypatch, (550, 0), (450, 30))
    fits = within(learner(), batch(), 500 * MEGA)
    assert fits(Plan("flat", 2, "")) and not fits(Plan("loop", 1, ""))


def test_nothing_is_traced_where_the_tracer_itself_would_be_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks(monkeypatch, (450, 0))
    fits = within(learner(), batch(), 500 * MEGA)
    assert fits(Plan("loop", 1, "")) and not fits(Plan("flat", 1, ""))


def test_inner_steps_are_computed_again_when_one_task_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks(monkeypatch, (600, 0), (650, 50), (400, 0))
    one = learner()
    fits = within(one, batch(), 500 * MEGA)
    assert one.gradient == "checkpointed"
    assert fits(Plan("loop", 1, "")) and not fits(Plan("flat", 1, ""))


def test_what_cannot_fit_is_refused_with_what_would(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks(monkeypatch, (600, 0), (650, 50), (550, 0))
    one = learner()
    with pytest.raises(UserError, match=r"memory is 500 MB.*holds 200 MB.*takes 400 MB more.*at least 630 MB"):
        within(one, batch(), 500 * MEGA)
    assert one.gradient == "exact"
    peaks(monkeypatch, (1000, 0))
    with pytest.raises(UserError, match="The 8 tasks of a step take 800 MB more; about 3 tasks a step would fit"):
        within(Prototypical(Conv4(size=16, width=4)), batch(), 500 * MEGA)


@linux
def test_a_real_limit_below_what_torch_alone_takes_is_refused_and_a_wide_one_changes_nothing() -> None:
    one = learner()
    with pytest.raises(UserError, match="give at least"):
        tuned(one, batch(), steps=1, memory=10 * MEGA)
    before = [p.clone() for p in one.parameters()]
    assert tuned(one, batch(), steps=1, memory=in_bytes("1000GiB")) == tuned(one, batch(), steps=1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), before, strict=True))
