"""Holds one library on one work load and answers a line for each line it reads; `rounds.Worker` starts it.

python -m libraries.worker LIBRARY WORK N      WORK as JSON; the first answer comes after N steps to warm up

step N                 N outer steps: seconds of one, and the share of the machine that other processes took
gradient DTYPE FILE    the meta-gradient at the first weights, into FILE
peak                   the most memory that this process has held, in MB
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .work import Work


def main() -> None:
    library, described, warm_up = sys.argv[1:]
    # What a library prints is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")

    def answer(function: Any, *words: Any) -> Any:
        try:
            said, result = function(*words)
        except Exception as error:
            traceback.print_exc()
            said, result = {"failed": f"{type(error).__name__}: {error}"[:300]}, None
        print(json.dumps(said), file=answers, flush=True)
        return result

    work = Work(**json.loads(described))
    ready = answer(start, library, work, int(warm_up))
    if ready is None:
        return
    for line in sys.stdin:
        answer(obey, line.split(maxsplit=2), work, *ready)


def start(library: str, work: Work, warm_up: int) -> tuple[dict[str, float], tuple[ModuleType, Any]]:
    """Import the library, build the job and warm it up."""
    module = importlib.import_module(f"libraries.{library}")
    job = module.build(work, "float32")
    seconds = 0.0
    for _ in range(warm_up):
        began = time.perf_counter()
        job.step()
        seconds = time.perf_counter() - began
    return {"seconds": seconds}, (module, job)


def obey(words: list[str], work: Work, module: ModuleType, job: Any) -> tuple[dict[str, float], None]:
    """Do what a line says."""
    if words[0] == "step":
        return timed(job, int(words[1])), None
    if words[0] == "gradient":
        arrays = module.build(work, words[1]).gradient()
        np.savez(words[2].strip(), *[np.asarray(array, dtype="float64") for array in arrays])
        return {}, None
    if words[0] == "peak":
        return {"mb": peak()}, None
    raise ValueError(f"no such request: {' '.join(words)}")


def timed(job: Any, count: int) -> dict[str, float]:
    """Seconds a step, and what other processes took meanwhile."""
    busy, own, began = machine_seconds(), time.process_time(), time.perf_counter()
    for _ in range(count):
        job.step()
    wall = time.perf_counter() - began
    others = machine_seconds() - busy - (time.process_time() - own)
    return {"seconds": wall / count, "others": max(0.0, others) / (wall * (os.cpu_count() or 1))}


def machine_seconds() -> float:
    """Processor seconds that the machine has spent so far; 0 where that is not known."""
    try:
        user, nice, system, _idle, _wait, *rest = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    except OSError:
        return 0.0
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")


def peak() -> float:
    """The high-water mark of this program: getrusage would count the process that started it, too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("this system does not say how much memory a process has held")


if __name__ == "__main__":
    main()
