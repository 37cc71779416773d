"""Drawing ahead: the same batches in the same order, in a thread only where it pays."""

from __future__ import annotations

import threading
import time

import pytest

from quickstudy.loops.ahead import LOOKS, Ahead
from quickstudy.task import Task
from quickstudy.tasks.functions import Sinusoids


class Watched:
    """Draws sinusoids, and knows who asked for what."""

    def __init__(self, seconds: float):
        self.seconds, self.asked, self.threads = seconds, [], set()  # type: float, list[int], set[str]

    def __call__(self, step: int) -> Task:
        time.sleep(self.seconds)
        self.asked.append(step)
        self.threads.add(threading.current_thread().name)
        return Sinusoids().sample(step, 1)


def test_slow_drawing_goes_on_while_steps_are_taken_and_gives_the_same_batches() -> None:
    draw = Watched(0.03)
    ahead, taken = Ahead(draw), []
    for step in range(10):
        taken.append(ahead(step))
        time.sleep(0.05)
    ahead.close()
    assert ahead.threaded and len(draw.threads) == 2
    assert draw.asked[:10] == list(range(10))
    assert all(bool((one.support.x == Sinusoids().sample(i, 1).support.x).all()) for i, one in enumerate(taken))


def test_quick_drawing_stays_where_it_is() -> None:
    draw = Watched(0.0)
    ahead = Ahead(draw)
    for step in range(LOOKS + 4):
        ahead(step)
        time.sleep(0.1)
    assert not ahead.threaded and draw.asked == list(range(LOOKS + 4))


def test_a_step_that_was_not_expected_is_drawn_at_once_and_errors_reach_who_asks() -> None:
    def draw(step: int) -> Task:
        time.sleep(0.02)
        if step == 9:
            raise ValueError("no such episode")
        return Sinusoids().sample(step, 1)

    ahead = Ahead(draw)
    for step in range(LOOKS + 2):
        ahead(step)
    assert ahead.threaded
    assert bool((ahead(7).support.x == Sinusoids().sample(7, 1).support.x).all())
    ahead(8)
    with pytest.raises(ValueError, match="no such episode"):
        ahead(9)
    ahead.close()
