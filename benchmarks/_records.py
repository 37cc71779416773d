"""What every benchmark writes: a list of records, each with its protocol, cost, machine and date."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from quickstudy.evaluation.evaluate import evaluating
from quickstudy.evaluation.result import Result
from quickstudy.learner import Learner
from quickstudy.loops.record import Record
from quickstudy.pytree import tree_leaves
from quickstudy.rng import Rng
from quickstudy.storage import write_atomically
from quickstudy.task import take
from quickstudy.tasks.source import TaskSource

HERE = Path(__file__).parent
RESULTS = HERE / "results"
RUNS = Path(os.environ.get("QUICKSTUDY_RUNS", HERE.parent / "runs"))


def arguments(about: str) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; its results are not kept")
    parser.add_argument("--only", default="", help="run only the rows whose name holds this")
    parser.add_argument("--hours", type=float, default=3.0, help="cap on the training time of each run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    return parser


def record(work: str, learner: str, result: Result, **more: Any) -> dict[str, Any]:
    """One record from a result; `more` adds budget, published, cost and curve."""
    share = result.metric == "accuracy"
    extra = {} if share else {"median": round(result.median, 5), "diverged": round(100 * result.diverged, 3)}
    if result.coverage is not None and result.nll is not None:
        extra |= {"log_likelihood": round(-result.nll, 4), "coverage90": round(result.coverage, 2)}
    return {
        "work": work,
        "learner": learner,
        "metric": result.metric,
        "value": round(result.value, 4),
        "ci95": round(result.ci95, 4),
        **extra,
        "split": result.protocol["split"],
        "tasks": result.tasks - result.left_out,
        "queries": round(result.protocol["queries_per_task"]),
        "interval": "95% t over tasks",
        "seeds": 1,
        "transductive": result.protocol["transductive"],
        "statistics": result.protocol.get("batch_statistics"),
        "ece": None if result.ece is None else round(result.ece, 3),
        "manifest": result.manifest,
        **more,
        **circumstances(),
    }


def use(learner: Learner, source: TaskSource, *, repeats: int = 30) -> dict[str, Any]:
    """What using a learner costs: milliseconds to adapt to one task (median), and bytes of the state it leaves."""
    tasks = [take(source.sample(i, 1), 0) for i in range(repeats)]
    seconds, size = [], 0
    with evaluating(learner):
        for i, task in enumerate([tasks[0], *tasks]):
            began = time.perf_counter()
            state = learner.adapt(task.support, task.description, rng=Rng(i))
            seconds.append(time.perf_counter() - began)
            size = sum(
                leaf.numel() * leaf.element_size() for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)
            )
    # The first call warms caches up.
    return {"adapt_ms": round(1000 * statistics.median(seconds[1:]), 3), "state_bytes": size}


def circumstances() -> dict[str, Any]:
    """Machine, versions, commit and date."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    return {
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used",
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("quickstudy", "torch", "numpy")},
        "commit": head.stdout.strip() or "unknown",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def write(name: str, records: list[dict[str, Any]], *, quick: bool) -> None:
    """Put records into results/NAME.json, in place of those of the same work, learner and protocol."""
    for row in records:
        print(
            f"{row['work']:28s} {row['learner']:16s} {row['metric']} {row['value']} ± {row['ci95']} ({row['budget']})"
        )
    if quick:
        return
    path = RESULTS / f"{name}.json"
    old = json.loads(path.read_text()) if path.exists() else []

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(str(row.get(k)) for k in ("work", "learner", "metric", "transductive", "statistics", "variant"))

    new = {key(row) for row in records}
    kept = sorted([row for row in old if key(row) not in new] + records, key=key)
    write_atomically(path, (json.dumps(kept, indent=1) + "\n").encode())


def logged(records: Iterator[Record], path: Path, *, every: int = 100) -> Iterator[Record]:
    """Pass records on and write a curve of them and where they end, which goes on where an interrupted run left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = curve(path)
    before, began = (earlier[-1]["cpu"] if earlier else 0.0), time.process_time()
    losses: list[float] = []
    metrics: list[float] = []
    with path.open("a") as file:

        def write(row: Record) -> None:
            point = {
                "step": row.step,
                "loss": sum(losses) / len(losses),
                "metric": sum(metrics) / len(metrics),
                "seconds": row.seconds,
                "cpu": before + time.process_time() - began,
                "val": None if row.validation is None else row.validation.value,
            }
            file.write(json.dumps(point) + "\n")
            file.flush()
            losses.clear()
            metrics.clear()

        for row in records:
            losses.append(row.loss)
            metrics.append(row.metric)
            if row.validation is not None or row.step % every == 0:
                write(row)
            yield row
        if losses:  # where a run ends says how long it was
            write(row)


def curve(path: Path) -> list[dict[str, Any]]:
    """The points that `logged` wrote, steps ascending (a resumed run may have written some twice)."""
    if not path.exists():
        return []
    points = {row["step"]: row for row in map(json.loads, path.read_text().splitlines())}
    return [points[step] for step in sorted(points)]


def thinned(points: list[dict[str, Any]], most: int = 24) -> list[dict[str, Any]]:
    """At most so many points of a curve, the last one always among them."""
    step = max(1, -(-len(points) // most))
    return points[::-1][::step][::-1]
