"""What is measured of one work load: times in turns, gradients, and the peak memory of each library."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from pathlib import Path

import numpy as np

from .environments import NotMade, python_of
from .flops import product_rate
from .rounds import OURS, Failed, Round, Turns, Worker, distance, take_turns
from .work import Work

ADAPTING = ("maml", "fomaml", "anil", "sine")
COMPARING = ("prototypical", "judge")
SERVES = {
    OURS: (*ADAPTING, "reptile", *COMPARING, "episodes"),
    "learn2learn": (*ADAPTING, "reptile", *COMPARING, "episodes"),
    "higher": ADAPTING,
    "torchopt": ("maml", "sine"),
    "torchmeta": (*ADAPTING, *COMPARING, "episodes"),
    "easyfsl": (*COMPARING, "episodes"),
    "parallel_metalearn": (*ADAPTING, "reptile", *COMPARING),
    "jax_yardstick": (*ADAPTING, "reptile", *COMPARING),
}
YARDSTICKS = ("jax_yardstick",)
WARM_UP = 3  # steps before anything is timed: caches fill, plans are chosen, code is compiled
REFERENCE = "learn2learn"  # whose gradient the others are compared with
AGREES = {"float64": 1e-6, "float32": 1e-2}  # ReLU's kinks alone make exact float32 gradients differ by 0.008


@dataclasses.dataclass
class Measured:
    """What was measured of one work load; libraries by name, ours among them.

    Args:
        processes: the rounds of each set of processes.
        peaks: MB, one figure a process.
        rates: operations a second in matrix products, measured once a set.
        gradients: library -> number type -> array list, or why there is none.
        left_out: library -> why.
        disturbed: rounds that count although other programs took much of the machine.
    """

    processes: list[list[Round]] = dataclasses.field(default_factory=list)
    peaks: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    rates: list[float] = dataclasses.field(default_factory=list)
    gradients: dict[str, dict[str, list[np.ndarray]]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    disturbed: int = 0

    def milliseconds(self, name: str) -> float:
        """The median over all rounds."""
        return 1000 * statistics.median(times[name] for rounds in self.processes for times in rounds)

    def by_process(self, name: str) -> list[float]:
        """The median seconds of each process."""
        return [statistics.median(times[name] for times in rounds) for rounds in self.processes]

    def off(self, name: str) -> dict[str, float]:
        """Number type -> how far the gradient is from the reference's in float64."""
        wanted = self.gradients.get(REFERENCE, {}).get("float64")
        found = self.gradients.get(name, {})
        return {} if wanted is None else {dtype: float(f"{distance(g, wanted):.1e}") for dtype, g in found.items()}


class Bench:
    """The environments that could be made, and what is measured with them."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.missing: dict[str, str] = {}
        self.pythons = {OURS: Path(sys.executable)}
        for name in [] if options.quick else options.peers:
            try:
                self.pythons[name] = python_of(name, options.venvs, options.base)
            except NotMade as error:
                self.missing[name] = str(error)
                print(f"without {name}: {error}", flush=True)

    def measure(self, work: Work) -> Measured:
        """Times of as many sets of processes as the options say, and the rest once."""
        found = Measured(left_out={n: why for n, why in self.missing.items() if work.kind in SERVES[n]})
        quick = self.options.quick
        while len(found.processes) < (1 if quick else self.options.processes):
            found.rates.append(product_rate(seconds=0.1 if quick else 1.0))
            try:
                self._one_set(work, found)
            except Failed as error:
                if error.library == OURS:
                    raise
                self._leave_out(found, error)
        return found

    def _one_set(self, work: Work, found: Measured) -> None:
        """New processes: their rounds, and once, gradients and the peaks of the peers."""
        workers: dict[str, Worker] = {}
        once, quick = not found.processes, self.options.quick
        try:
            for name in self._serving(work, found):
                try:
                    workers[name] = self._worker(work, name)
                except Failed as error:
                    if name == OURS:
                        raise
                    self._leave_out(found, error)
            turns = Turns(1, 0.0, 1.0) if quick else Turns(self.options.rounds, share=self.options.share)
            rounds, disturbed = take_turns(workers, turns)
            if once and not quick and work.kind != "episodes":
                found.gradients = {name: gradients(worker) for name, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.close()
        for name in [] if quick else workers if once else [OURS]:
            found.peaks.setdefault(name, []).append(self._peak(work, name))
        found.processes.append(rounds)
        found.disturbed += disturbed

    def _serving(self, work: Work, found: Measured) -> list[str]:
        return [n for n in self.pythons if work.kind in SERVES[n] and n not in found.left_out]

    def _leave_out(self, found: Measured, error: Failed) -> None:
        """Go on without a library, in the sets measured before as well."""
        found.left_out[error.library] = str(error)
        print(f"without {error.library}: {error}", flush=True)
        found.processes = [
            [{n: s for n, s in times.items() if n != error.library} for times in rounds] for rounds in found.processes
        ]

    def _worker(self, work: Work, name: str) -> Worker:
        warm_up = 1 if self.options.quick else WARM_UP
        return Worker(self.pythons[name], name, work, threads=self.options.threads, warm_up=warm_up)

    def _peak(self, work: Work, name: str) -> float:
        worker = self._worker(work, name)
        try:
            return worker.ask("peak")["mb"]
        finally:
            worker.close()


def gradients(worker: Worker) -> dict[str, list[np.ndarray]]:
    """Number type -> the meta-gradient, where the library gives one (in evaluation, the share of right answers)."""
    found = {}
    for dtype in AGREES:
        try:
            found[dtype] = worker.gradient(dtype)
        except Failed as error:
            print(f"{worker.library} gives no gradient in {dtype}: {error}", flush=True)
    return found
