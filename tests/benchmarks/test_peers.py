"""The arithmetic behind the comparison with other libraries, and our side of it."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from quickstudy.engine.plan import choose

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    import peers
    from libraries import bench, environments, flops, ours, rounds, torch_job, work, worker
finally:
    sys.path.remove(str(BENCHMARKS))

COUNTED = ("maml-5way-1shot-5steps", "fomaml", "reptile", "anil", "proto-5way", "proto-eval", "sine-1step")


def tiny(name: str, **more: Any) -> work.Work:
    """A work load of two tasks and few examples."""
    whole = work.WORKS[name]
    small = {"ways": min(whole.ways, 3), "queries": 2, "tasks": min(whole.tasks, 2)} | more
    return dataclasses.replace(whole, **small)


class ByHand(torch_job.Adapting):
    """Every gradient learner of the comparison, written out with functional_call."""

    def backward(self) -> float:
        total = 0.0
        first = dict(self.part.named_parameters())
        for i in range(self.work.tasks):
            x, queries = self.inputs(i)
            moved = first
            for _ in range(self.work.steps):
                answer = torch.func.functional_call(self.part, moved, (x,))
                exact = self.work.kind not in ("fomaml", "reptile")
                way = torch.autograd.grad(self.loss(answer, self.sides[1][i]), list(moved.values()), create_graph=exact)
                moved = {n: w - self.work.lr * g for (n, w), g in zip(moved.items(), way, strict=True)}
            if self.work.kind == "reptile":
                loss = sum(((p - moved[n].detach()) ** 2).sum() / 2 for n, p in first.items())
            else:
                loss = self.loss(torch.func.functional_call(self.part, moved, (queries,)), self.sides[3][i])
            (loss / self.work.tasks).backward()
            total += loss.item() / self.work.tasks
        return total


class ByHandComparing(torch_job.Comparing):
    def scores(self, support: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        z = self.net(torch.cat([support, queries]))
        means = z[: len(support)].view(self.work.ways, -1, z.shape[1]).mean(1)
        return -(z[len(support) :, None] - means).square().sum(2)


def by_hand(load: work.Work, dtype: str = "float64") -> Any:
    return (ByHandComparing if load.learner == "prototypical" else ByHand)(load, dtype)


@pytest.mark.parametrize("name", COUNTED)
def test_flops_are_those_that_torch_counts(name: str) -> None:
    load = tiny(name)
    job = by_hand(load, "float32")
    with FlopCounterMode(display=False) as counter:
        job.judge() if load.kind == "judge" else job.backward()
    # Torch counts the steps of a head too, and does more than it needs to differentiate a strided gradient.
    wasted = 0.02 if load.kind != "maml" else 0.08
    assert (1 - wasted) * counter.get_total_flops() <= flops.flops(load) <= 1.001 * counter.get_total_flops()


def test_flops_of_the_work_loads_that_are_timed() -> None:
    billions = {name: round(flops.flops(load) / 1e9, 1) for name, load in work.WORKS.items() if load.net != "mlp"}
    assert billions == {
        "maml-5way-1shot-1step": 45.2,
        "maml-5way-1shot-5steps": 75.1,
        "maml-20way-5steps": 150.2,
        "fomaml": 40.2,
        "reptile": 12.6,
        "anil": 40.2,
        "proto-5way": 5.8,
        "proto-60way": 34.8,
        "proto-eval": 62.8,
        "episodes-5way": 0.0,
    }


@pytest.mark.parametrize("name", [n for n in COUNTED if n != "proto-eval"])
def test_our_gradient_is_the_one_written_out(name: str) -> None:
    load = tiny(name)
    job = ours.build(load, "float64")
    job.learner.plan = choose(job.learner, job.source.held)  # a plan that takes no time to find
    assert rounds.distance(job.gradient(), by_hand(load).gradient()) < 1e-9


def test_our_evaluation_is_the_one_written_out() -> None:
    load = tiny("proto-eval")
    assert ours.build(load, "float64").step() == pytest.approx(by_hand(load).judge())


def test_best_peer_is_one_peer_and_the_interval_is_over_processes() -> None:
    # In every round another one is faster, but b is so more often.
    first = [{"ours": 1.0, "a": 2.0, "b": 4.0}, {"ours": 2.0, "a": 9.0, "b": 4.0}, {"ours": 1.0, "a": 4.0, "b": 3.0}]
    second = [{n: 2 * s for n, s in times.items()} | {"b": 6.0} for times in first]
    best, value, half, each = rounds.faster_than_best([first, second], ["a", "b"])
    assert best == "b"
    assert each == [3.0, 3.0]
    assert (value, half) == (3.0, 0.0)
    assert rounds.faster_than_best([first], ["a", "b"])[2] is None


class Scripted:
    """A worker that answers from a list."""

    ready: dict[str, float]

    def __init__(self, others: list[float]):
        self.ready, self.others, self.asked = {"seconds": 0.1}, iter(others), []

    def ask(self, line: str) -> dict[str, float]:
        self.asked.append(line)
        return {"seconds": float(len(self.asked)), "others": next(self.others)}


def test_disturbed_rounds_are_repeated_and_the_least_disturbed_are_taken_where_all_are() -> None:
    quiet = {"ours": Scripted([0.0, 0.9, 0.0]), "a": Scripted([0.0, 0.0, 0.0])}
    found, disturbed = rounds.take_turns(quiet, rounds.Turns(rounds=2, seconds=0.5, share=0.2))  # type: ignore[arg-type]
    assert (found, disturbed) == ([{"ours": 1.0, "a": 1.0}, {"ours": 3.0, "a": 3.0}], 0)
    assert quiet["a"].asked == ["step 5"] * 3
    loud = {"ours": Scripted([0.9, 0.3, 0.5, 0.9])}
    found, disturbed = rounds.take_turns(loud, rounds.Turns(rounds=1, share=0.2))  # type: ignore[arg-type]
    assert (found, disturbed) == ([{"ours": 2.0}], 1)


def test_records_of_a_work_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["peers.py", "--processes", "2", "--rounds", "1"])
    times = [{"ours": 0.5, "learn2learn": 1.0, "higher": 0.9, "jax_yardstick": 0.1}]
    one = {"float64": [np.ones(3)], "float32": [np.ones(3)]}
    found = bench.Measured(
        processes=[times, times],
        peaks={"ours": [300.0, 302.0], "learn2learn": [400.0], "higher": [350.0], "jax_yardstick": [900.0]},
        rates=[2e11, 1e11],
        gradients={"ours": {"float64": [np.ones(3)], "float32": [np.full(3, 1.1)]}, "learn2learn": one},
    )
    load = work.WORKS["fomaml"]
    made = {row["metric"]: row for row in peers.rows(load, found, peers.arguments())}
    assert {metric: row["value"] for metric, row in made.items()} == {
        "tasks_per_second": 64.0,
        "peak_mb": 301.0,
        "share_of_floor": round(40.230912 / 200 / 0.5, 4),
        "times_faster_than_best_peer": 1.8,
    }
    row = made["times_faster_than_best_peer"]
    assert (row["work"], row["learner"], row["best_peer"]) == ("speed/fomaml", "fomaml", "higher")
    assert list(row["peers"]) == ["learn2learn", "higher"]
    assert list(row["yardsticks"]) == ["jax_yardstick"]
    assert row["gradient_agrees"] is False  # 10% off in float32
    assert row["ours"]["gradient_off"] == {"float64": 0.0, "float32": 0.1}
    json.dumps(list(made.values()), allow_nan=False)


def test_a_peer_that_fails_is_left_out_of_all_rounds() -> None:
    found = bench.Measured(processes=[[{"ours": 1.0, "higher": 2.0, "learn2learn": 3.0}]])
    some = bench.Bench.__new__(bench.Bench)
    some._leave_out(found, rounds.Failed("higher", "its process ended with -9"))
    assert found.processes == [[{"ours": 1.0, "learn2learn": 3.0}]]
    assert found.left_out == {"higher": "its process ended with -9"}


def test_a_worker_answers_and_says_why_it_cannot() -> None:
    load = tiny("sine-1step")
    one = rounds.Worker(Path(sys.executable), "ours", load, threads=1, warm_up=1)
    try:
        assert one.ask("step 2")["seconds"] > 0
        assert one.ask("peak")["mb"] > 10
        with pytest.raises(rounds.Failed, match="no such request: dance"):
            one.ask("dance")
        assert rounds.distance(one.gradient("float64"), by_hand(load).gradient()) < 1e-12
    finally:
        one.close()
    with pytest.raises(rounds.Failed, match="No module named") as raised:
        rounds.Worker(Path(sys.executable), "nonesuch", load, threads=1, warm_up=1)
    assert raised.value.library == "nonesuch"


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(python: Path, *words: str, cwd: Path | None = None) -> str:
        if "venv" in words:
            return ""
        raise environments.NotMade("pip install failed: no such version")

    monkeypatch.setattr(environments, "_run", started)
    with pytest.raises(environments.NotMade, match="no such version"):
        environments.python_of("higher", tmp_path, None)
    monkeypatch.undo()
    with pytest.raises(environments.NotMade, match="cannot be started"):
        environments._run(tmp_path / "python", "-c", "")
    with pytest.raises(environments.NotMade, match="ValueError: because"):
        environments._run(Path(sys.executable), "-c", "raise ValueError('because')")


def test_all_libraries_are_known_everywhere() -> None:
    assert set(bench.SERVES) - {rounds.OURS} == set(environments.RECIPES)
    here = {path.stem for path in (BENCHMARKS / "libraries").glob("*.py")}
    assert set(bench.SERVES) <= here
    kinds = {load.kind for load in work.WORKS.values()}
    assert {kind for served in bench.SERVES.values() for kind in served} == kinds
    assert isinstance(worker, ModuleType) and math.isfinite(worker.machine_seconds())
