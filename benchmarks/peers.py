"""quickstudy timed against the libraries that exist, on the same weights and the same tasks (docs/results.md).

    python benchmarks/peers.py                                  all work loads, with 2 threads, hours
    python benchmarks/peers.py --only fomaml --peers learn2learn,higher --rounds 3 --processes 1

Each library runs in an environment of its own, made on demand (--venvs), and is driven as its users would. For each
work load one process a library takes turns with the others, and ratios are taken round by round; all of it is done
again with new processes, and the interval is over those. Rounds in which other programs took more than a share of the
machine are repeated. Peak memory is that of a process which did this work alone. Meta-gradients at the first weights
are compared with those of learn2learn. JAX code written for the occasion stands beside as a yardstick, not as a peer.
A library that cannot be installed, or cannot do a work load, is left out with the reason.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
from pathlib import Path
from typing import Any

import torch

import _records
from libraries.bench import AGREES, SERVES, YARDSTICKS, Bench, Measured
from libraries.environments import RECIPES
from libraries.flops import flops
from libraries.rounds import OURS, Turns, faster_than_best, interval
from libraries.work import WORKS, Work

# One of each way in which our side is driven.
QUICK = ("maml-5way-1shot-1step", "reptile", "proto-5way", "proto-eval", "sine-1step", "episodes-5way")


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    bench = Bench(options)
    for name in QUICK if options.quick else WORKS:
        if options.only in f"speed/{name}":
            work = small(WORKS[name]) if options.quick else WORKS[name]
            _records.write("peers", rows(work, bench.measure(work), options), quick=options.quick)


def small(work: Work) -> Work:
    """The same work with tiny tasks, and few of them."""
    return dataclasses.replace(work, ways=min(work.ways, 5), queries=1, tasks=2)


def arguments() -> argparse.Namespace:
    parser = _records.arguments(__doc__.splitlines()[0])
    everyone = ",".join(name for name in SERVES if name != OURS)
    venvs = Path(os.environ.get("QUICKSTUDY_PEERS", _records.RUNS / "peers"))
    parser.add_argument("--peers", default=everyone, help="the libraries to compare with, a comma between them")
    parser.add_argument("--rounds", type=int, default=Turns.rounds, help="rounds of each set of processes")
    parser.add_argument("--processes", type=int, default=3, help="new processes of each library")
    parser.add_argument("--share", type=float, default=Turns.share, help="of the machine that others may take")
    parser.add_argument("--venvs", type=Path, default=venvs, help="folder of the environments (QUICKSTUDY_PEERS)")
    parser.add_argument("--base", type=Path, help="environment with torch to share, instead of making one")
    parser.set_defaults(threads=2)
    options = parser.parse_args()
    if options.quick:
        options.threads = 1
    options.venvs = options.venvs.resolve()
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = set(options.peers) - {*SERVES} | {OURS} & {*options.peers}
    if unknown or options.rounds < 1 or options.processes < 1:
        parser.error(f"peers are {everyone}, not {', '.join(unknown)}" if unknown else "rounds and processes are >= 1")
    return options


def rows(work: Work, found: Measured, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One record a metric."""
    names = list(found.processes[0][0])
    peers = [name for name in names if name not in (OURS, *YARDSTICKS)]
    seconds, peaks = found.by_process(OURS), found.peaks.get(OURS, [])
    rate, cost, milliseconds = max(found.rates), flops(work), found.milliseconds(OURS)
    figures: dict[str, tuple[float, list[float]]] = {
        "tasks_per_second": (1000 * work.tasks / milliseconds, [work.tasks / s for s in seconds])
    }
    if peaks:
        figures["peak_mb"] = (statistics.fmean(peaks), peaks)
    if cost:
        figures["share_of_floor"] = (1000 * cost / rate / milliseconds, [cost / rate / s for s in seconds])
    best = None
    if peers:
        best, times, _, each = faster_than_best(found.processes, peers)
        figures["times_faster_than_best_peer"] = (times, each)
    more = circumstances(work, found, options) | {
        "best_peer": best,
        "gflop": round(cost / 1e9, 3),
        "gflop_per_second": round(rate / 1e9, 1),
        "ours": library(found, OURS),
        "peers": {name: library(found, name) for name in peers},
        "yardsticks": {name: library(found, name) for name in names if name in YARDSTICKS},
        "peak_mb": round(statistics.fmean(peaks)) if peaks else None,
    }
    made = []
    for metric, (value, each) in figures.items():
        half = interval(each)
        shown = {"value": round(value, 4), "ci95": None if half is None else round(half, 4)}
        shown["by_process"] = [round(v, 4) for v in each]
        made.append({"work": f"speed/{work.name}", "learner": work.learner, "metric": metric} | shown | more)
    return made


def circumstances(work: Work, found: Measured, options: argparse.Namespace) -> dict[str, Any]:
    """What was run, and how."""
    off = found.off(OURS)
    count = len(found.processes)
    return _records.circumstances() | {
        "budget": "quick" if options.quick else f"{count} x {options.rounds} rounds",
        "command": f"python benchmarks/peers.py --only speed/{work.name}",
        "split": "made up",
        "interval": "95% t over processes",
        "tasks": work.tasks,
        "queries": work.asked,
        "threads": options.threads,
        "rounds": options.rounds,
        "processes": count,
        "disturbed_rounds": found.disturbed,
        "gradient_agrees": all(off[dtype] <= most for dtype, most in AGREES.items()) if len(off) > 1 else None,
        "left_out": found.left_out,
    }


def library(found: Measured, name: str) -> dict[str, Any]:
    """One library's own figures: its version, time, peak memory, and how far its gradient is from the reference's."""
    peaks = found.peaks.get(name)
    return {
        "version": RECIPES[name].package.partition("==")[2] if name in RECIPES else "this commit",
        "ms": round(found.milliseconds(name), 3),
        "peak_mb": round(statistics.fmean(peaks)) if peaks else None,
        "gradient_off": found.off(name),
    }


if __name__ == "__main__":
    main()
