"""All work loads of peers.py on every device that this machine has, in both precisions (docs/results.md).

    python benchmarks/accelerators.py
    python benchmarks/accelerators.py --only proto-60way --device cuda

Training and judging as users do it, on the same made-up tasks as the comparison with other libraries, which are drawn
and sent to the device anew in each step. A figure is tasks a second, the median of rounds after a first one that warms
up; memory is what torch held at most on the device (of a CPU, the process). Devices and precisions are told apart by
`variant`. Where there is nothing but a CPU that is all it measures, and it says so.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

import _records
from libraries import ours
from libraries.work import WORKS, Work
from peers import QUICK, small
from quickstudy.engine.device import KINDS, device_of, wait_for
from quickstudy.errors import UserError
from quickstudy.functional.precision import PRECISIONS

LOWERED = ("prototypical",)  # elsewhere calls of the net are too small to gain by a lower precision


def main() -> None:
    parser = _records.arguments(__doc__.splitlines()[0])
    parser.add_argument("--device", help="measure this one alone")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    devices = [device_of(options.device)] if options.device else list(present())
    if all(device.type == "cpu" for device in devices):
        print("no accelerator is here: only the CPU is measured")
    for name in QUICK if options.quick else WORKS:
        work = small(WORKS[name]) if options.quick else WORKS[name]
        if options.only in name and work.learner != "episodes":
            rows = [
                row(work, device, precision, rounds=1 if options.quick else options.rounds, quick=options.quick)
                for device in devices
                for precision in (PRECISIONS if work.learner in LOWERED and work.kind != "judge" else ("float32",))
            ]
            _records.write("accelerators", rows, quick=options.quick)


def present() -> list[torch.device]:
    """One device of each kind that is here."""
    found = []
    for kind in KINDS:
        try:
            found.append(device_of(kind))
        except UserError:
            continue
    return found


def row(work: Work, device: torch.device, precision: str, *, rounds: int, quick: bool) -> dict[str, Any]:
    """One work load on one device."""
    job = ours.build(work, "float32", device=str(device), precision=precision)
    on_card = device.type == "cuda"
    if on_card:
        torch.cuda.reset_peak_memory_stats(device)
    job.step()
    seconds = []
    for _ in range(rounds):
        wait_for(device)
        began = time.perf_counter()
        job.step()
        wait_for(device)
        seconds.append(time.perf_counter() - began)
    low, high = (statistics.quantiles(seconds, n=4)[i] for i in (0, 2)) if rounds > 1 else (seconds[0],) * 2
    about = _records.circumstances()
    if on_card:
        about["peak_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    return {
        "work": f"speed/{work.name}",
        "learner": work.learner,
        "metric": "tasks_per_second",
        "value": round(work.tasks / statistics.median(seconds), 2),
        "ci95": None,
        "quartiles": [round(work.tasks / high, 2), round(work.tasks / low, 2)],
        "variant": f"{device.type}, {precision}",
        "device": torch.cuda.get_device_name(device) if on_card else device.type,
        "split": "made up",
        "tasks": work.tasks,
        "queries": work.asked,
        "interval": "quartiles of rounds",
        "seeds": 1,
        "transductive": work.kind not in ("prototypical", "judge"),
        "budget": "quick" if quick else f"{rounds} rounds",
        "published": None,
        "command": f"python benchmarks/accelerators.py --only {work.name}",
    } | about


if __name__ == "__main__":
    main()
