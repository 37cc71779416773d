"""Workers that take turns, and what their times say.

One library's time is compared with another's of the same round only: between rounds the machine itself may change.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quickstudy.evaluation.intervals import mean_interval

from .work import Work

BENCHMARKS = Path(__file__).parent.parent
OURS = "ours"
Round = Mapping[str, float]  # library -> seconds a step


class Failed(Exception):
    """A worker that did not do what it was asked: which library, and the reason."""

    def __init__(self, library: str, reason: str):
        super().__init__(reason)
        self.library = library


class Worker:
    """A process that holds one library on one work load.

    Args:
        python: of the library's environment.
        threads: that it may compute with.
        warm_up: steps before it is ready.

    Raises:
        Failed: the library cannot be imported, or cannot do this work.
    """

    def __init__(self, python: Path, library: str, work: Work, *, threads: int, warm_up: int):
        self.library = library
        words = [str(python), "-m", "libraries.worker", library, json.dumps(dataclasses.asdict(work)), str(warm_up)]
        number = str(threads)
        env = os.environ | {"OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number, "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            words,
            cwd=BENCHMARKS,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.ready = self._answer()
        except Failed:
            self.close()
            raise

    def ask(self, line: str) -> dict[str, Any]:
        """The answer to a line; see `worker`.

        Raises:
            Failed: it could not, or has died.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Failed(self.library, "its process has ended") from error
        return self._answer()

    def gradient(self, dtype: str) -> list[np.ndarray]:
        """The meta-gradient at the first weights."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gradient.npz"
            self.ask(f"gradient {dtype} {path}")
            with np.load(path) as arrays:
                return list(arrays.values())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failed(self.library, f"its process ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise Failed(self.library, answer["failed"])
        return answer


@dataclasses.dataclass(frozen=True)
class Turns:
    """How often workers take turns.

    Args:
        rounds: that count.
        seconds: of a turn, about: short steps are done many times.
        share: of the machine that other processes may take; a round with more is repeated, up to thrice `rounds`.
    """

    rounds: int = 7
    seconds: float = 0.5
    share: float = 0.15


def take_turns(workers: Mapping[str, Worker], turns: Turns) -> tuple[list[Round], int]:
    """The rounds that count, and how many of them were disturbed all the same.

    Raises:
        Failed: a worker that worked before has stopped to.
    """
    counts = {name: max(1, math.ceil(turns.seconds / worker.ready["seconds"])) for name, worker in workers.items()}
    quiet: list[Round] = []
    loud: list[tuple[float, Round]] = []
    while len(quiet) < turns.rounds and len(quiet) + len(loud) < 4 * turns.rounds:
        answers = {name: worker.ask(f"step {counts[name]}") for name, worker in workers.items()}
        times = {name: answer["seconds"] for name, answer in answers.items()}
        others = max(answer["others"] for answer in answers.values())
        if others > turns.share:
            loud.append((others, times))
        else:
            quiet.append(times)
    loud.sort(key=lambda pair: pair[0])
    spare = [times for _, times in loud[: turns.rounds - len(quiet)]]
    return quiet + spare, len(spare)


def ratios(rounds: Sequence[Round], peers: Sequence[str]) -> dict[str, float]:
    """Peer -> how many times our time it takes: the median of the ratios of each round.

    >>> ratios([{"ours": 1.0, "a": 2.0}, {"ours": 2.0, "a": 2.0}, {"ours": 1.0, "a": 3.0}], ["a"])
    {'a': 2.0}
    """
    return {peer: statistics.median(times[peer] / times[OURS] for times in rounds) for peer in peers}


def faster_than_best(
    processes: Sequence[Sequence[Round]], peers: Sequence[str]
) -> tuple[str, float, float | None, list[float]]:
    """Who the best peer is, how many times faster than it we are, the interval over processes, and each process' own.

    The best is the one with the smallest ratio over all rounds, never a mixture of the best rounds of several.

    >>> first, second = [{"ours": 1.0, "a": 2.0, "b": 3.0}], [{"ours": 1.0, "a": 2.2, "b": 1.9}]
    >>> best, value, half, each = faster_than_best([first, second], ["a", "b"])
    >>> best, round(value, 2), round(half, 2), each
    ('a', 2.1, 1.27, [2.0, 2.2])
    """
    pooled = ratios([times for rounds in processes for times in rounds], peers)
    best = min(pooled, key=lambda peer: pooled[peer])
    each = [ratios(rounds, [best])[best] for rounds in processes]
    return best, pooled[best], interval(each), each


def interval(each: Sequence[float]) -> float | None:
    """Half the width of the 95% t interval over processes; None of one alone."""
    return mean_interval(each)[1] if len(each) > 1 else None


def distance(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """The relative distance of two gradients.

    >>> distance([np.array([3.0, 4.0])], [np.array([3.0, 0.0])])
    1.3333333333333333
    """
    off = sum(float(np.square(a - b).sum()) for a, b in zip(found, wanted, strict=True))
    return math.sqrt(off / sum(float(np.square(b).sum()) for b in wanted))
