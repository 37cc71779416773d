"""Learners as ONNX: which can be written, how close they answer, and what they cost without torch (docs/export.md).

    python benchmarks/export_onnx.py
    python benchmarks/export_onnx.py --only maml

`max_difference`: every learner of the registry, for both kinds of task that it serves, on vectors of 8 numbers, with 3
outputs and small nets; steps of an inner loop are cut to 3, for each is unrolled. The figure is the largest difference
of onnxruntime's answers from the learner's own, over tasks of up to 9 ways and 60 examples, in proportion where answers
are above 1. Where the graph is another for each number of examples or queries, 15 and 5 of them are fixed. What cannot
be written stands in `export/refused`, with the reason.

`milliseconds`: a task of 5 classes with 5 examples each, images of 28x28, learned and one query answered, in a process
that has onnxruntime and numpy and nothing else, on one thread; beside it the same with torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import _records
from quickstudy.arguments import parameters
from quickstudy.bundle import Bundle, load_bundle, save_bundle
from quickstudy.errors import UserError
from quickstudy.export import Exported, export_bundle
from quickstudy.export.refused import NotExportable
from quickstudy.learner import Learner
from quickstudy.registry import build, entries, find
from quickstudy.rng import Rng, forked
from quickstudy.state import fingerprint

FEATURES, OUTPUTS, WIDTH, STEPS = 8, 3, 16, 3
SIZES = {"examples": 15, "ways": OUTPUTS, "queries": 5}  # where they have to be fixed


def mlp(inputs: int, outputs: int) -> dict[str, Any]:
    return {"name": "mlp", "inputs": inputs, "outputs": outputs, "hidden": [16]}


# What a learner may ask for, by the name of the argument.
GIVEN: dict[str, Any] = {
    "encoder": mlp(FEATURES, WIDTH),
    "net": mlp(FEATURES, OUTPUTS),
    "reader": mlp(FEATURES, 64),
    "relation": mlp(2 * WIDTH, 1),
    "cell": {"name": "lstm-cell", "inputs": FEATURES + OUTPUTS, "width": WIDTH},
    "inputs": FEATURES,
    "outputs": OUTPUTS,
    "width": WIDTH,
    "length": SIZES["examples"] + 1,
    "attributes": FEATURES,
    "classes": OUTPUTS,
    "learner": {"name": "maml", "net": mlp(FEATURES, OUTPUTS)},
    "first": {"name": "prototypical", "encoder": mlp(FEATURES, WIDTH)},
    "second": {"name": "nearest"},
}
DEVICE = {
    "prototypical": {"name": "prototypical", "encoder": {"name": "conv4"}},
    "r2d2": {"name": "r2d2", "encoder": {"name": "conv4"}},
    "maml": {"name": "maml", "net": {"name": "conv4", "downsample": "stride", "outputs": 5}, "steps": STEPS},
}


def main() -> None:
    options = _records.arguments(__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    names = [entry.name for entry in entries("learner") if options.only in entry.name]
    for name in names[:2] if options.quick else names:
        for kind in find("learner", name).load().kinds:
            _records.write("export_onnx", [tried(name, kind)], quick=options.quick)
    for name, table in DEVICE.items():
        if options.only in f"device {name}" and not options.quick:
            _records.write("export_onnx", list(on_device(name, table)), quick=False)


def row(work: str, name: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
    """One record; a difference or a time on one machine has no interval over tasks."""
    about = {"work": work, "learner": name, "metric": metric, "value": value, "ci95": None, "budget": "full"}
    return about | more | _records.circumstances()


def tried(name: str, kind: str) -> dict[str, Any]:
    """One learner, with any number of examples and queries, or else with as many as it can have."""
    try:
        with forked(Rng(0)):
            learner = made(name, kind)
    except UserError as error:
        return row("export/refused", name, "refused", 1, variant=kind, reason=str(error))
    about = {"input": {"feature": [FEATURES], "kind": kind}, "weights": {"sha256": fingerprint(learner)}}
    bundle = Bundle(learner.eval(), {}, None, about)
    with tempfile.TemporaryDirectory() as home:
        try:
            found, fixed = written(bundle, Path(home) / "learner.onnx", SIZES, targets=OUTPUTS)
        except UserError as error:
            return row("export/refused", name, "refused", 1, variant=kind, reason=str(error))
    return row("export/onnx", name, "max_difference", found.difference, variant=kind, fixed=fixed, bytes=found.size)


def written(bundle: Bundle, path: Path, sizes: dict[str, int], **more: int) -> tuple[Exported, dict[str, int]]:
    """The graph for any number of examples, ways and queries; fixed where it has to be, all of them at last."""
    fixed: dict[str, int] = {}
    while True:
        try:
            return export_bundle(bundle, path, **fixed, **more), fixed
        except NotExportable as error:
            if fixed == sizes:
                raise
            fixed = sizes if error.size is None else fixed | {error.size: sizes[error.size]}


def made(name: str, kind: str) -> Learner:
    """A small learner of that name, with what it must be given."""
    asked = parameters(find("learner", name).load())
    table = {key: GIVEN[key] for key, (p, _) in asked.items() if p.default is p.empty}
    table |= {key: STEPS for key in ("steps", "test_steps") if key in asked and key not in find("learner", name).preset}
    if name == "ensemble" and kind == "classification":
        table["learner"] = {"name": "prototypical", "encoder": GIVEN["encoder"]}
    if name == "imaml":
        table["proximal"] = 2.0
    if name == "standardised":
        table["outputs"] = OUTPUTS
    learner: Learner = build("learner", {"name": name, **table})
    return learner


WITHOUT_TORCH = """
import json, statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
draw = numpy.random.default_rng(0)
x, q = (draw.random((n, 1, 28, 28), dtype="float32") for n in (25, 1))
given = {"support_x": x, "support_y": numpy.eye(5, dtype="float32").repeat(5, 0), "query_x": q}
seconds = []
for _ in range(31):
    began = time.process_time()
    session.run(None, given)
    seconds.append(time.process_time() - began)
assert "torch" not in sys.modules
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"ms": 1e3 * statistics.median(seconds[1:]), "mb": peak}))
"""
WITH_TORCH = """
import json, statistics, sys, time
import torch
from quickstudy.bundle import load_bundle
torch.set_num_threads(1)
bundle = load_bundle(sys.argv[1])
x, q = torch.rand(25, 1, 28, 28), torch.rand(1, 1, 28, 28)
y = torch.arange(5).repeat_interleave(5)
seconds = []
for _ in range(31):
    began = time.process_time()
    bundle.predict(*bundle.adapt(x, y), q)
    seconds.append(time.process_time() - began)
peak = next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"ms": 1e3 * statistics.median(seconds[1:]), "mb": peak}))
"""


def on_device(name: str, table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a graph costs, and what the learner itself costs, in processes of their own."""
    with tempfile.TemporaryDirectory() as home, forked(Rng(0)):
        folder = save_bundle(Path(home) / "bundle", build("learner", table), feature=(1, 28, 28))
        path = Path(home) / "learner.onnx"
        found, fixed = written(load_bundle(folder), path, {"examples": 25, "ways": 5, "queries": 1})
        for runtime, code, argument in (("onnxruntime", WITHOUT_TORCH, path), ("torch", WITH_TORCH, folder)):
            done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
            spent = json.loads(done.stdout)
            size = {"bytes": found.size, "fixed": fixed} if runtime == "onnxruntime" else {}
            rest = {"process_mb": round(spent["mb"]), "interval": "median of 30, processor time", **size}
            yield row("export/onnx", name, "milliseconds", round(spent["ms"], 3), variant=runtime, **rest)


if __name__ == "__main__":
    main()
