"""The page about running a learner without quickstudy, its tables from the benchmark's records; used by make.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

HEAD = """# On a small device: ONNX

Written by `python docs/make.py`; the figures are from `benchmarks/export_onnx.py`.

A bundle can be written as one file that [ONNX Runtime](https://onnxruntime.ai) carries out, on a phone, in a browser or
on a small board, without torch and without quickstudy. Not a trained classifier: the learner itself, so a new task is
learned where the examples are.

```
pip install 'quickstudy[export]'
quickstudy export study/bundle --out learner.onnx
```

```py
import numpy, onnxruntime  # and nothing else

session = onnxruntime.InferenceSession("learner.onnx")
(logits,) = session.run(
    None,
    {
        "support_x": examples,  # (examples, *feature), float32
        "support_y": numpy.eye(3, dtype="float32")[[0, 0, 1, 2, 2]],  # (examples, ways): a row is 1 at its class
        "query_x": queries,  # (queries, *feature)
    },
)
answers = logits.argmax(1)  # (queries,)
```

The numbers of examples, classes and queries may be others at every call. A regression takes `support_y` as (examples,
targets) and gives `value` and, where the learner knows it, `variance`. Steps of an inner loop, gradients included, are
part of the graph. Batch norm uses what the learner uses when it answers.

| what | how |
|---|---|
| learn and answer in one graph | `quickstudy export BUNDLE --out learner.onnx` |
| a task that was learned, its state inside | `quickstudy export BUNDLE --state task.state --out task.onnx` |
| learning alone; answering from the state's tensors | `--part adapt`; `--part predict` |
| a program of torch.export (`.pt2`) | `--format torch` |
| the state alone, as safetensors | `quickstudy adapt BUNDLE SUPPORT --out task.state` |

A graph is checked before it is written: on tasks of many sizes its answers must be those of the learner in torch,
within 1e-5, or 1e-4 after an inner loop (in proportion where answers are above 1). If they are not, there is no file,
and the message says why. The file says which learner and which bundle it is of, the shape of an input and, where a task
is inside, the names of its classes (`session.get_modelmeta().custom_metadata_map`).

What stays outside: encoders. A bundle that reads texts, pictures by MobileNetV2 or rows of a table takes, as a graph,
the numbers that its encoder makes; the metadata names it. Opening an ONNX file executes nothing: it is data, and names
operations that the runtime has. A `.pt2` file is opened by `torch.export.load`, which unpickles parts of it: open your
own, not a stranger's.
"""
DEVICE = """
## What it costs

Five classes with five examples each, pictures of 28x28 pixels (Conv-4, 64 filters): learned, and one query answered, on
one thread. *process* is all memory that the process ever held, with the runtime and Python.

"""
LEARNERS = """
## Which learners

Every learner of `quickstudy list learners`, tried on vectors of 8 numbers with small nets and, where it takes steps, at
most 3 of them. Where the operations are others for each number of examples or queries (it reads them one by one), the
graph is for one number, which `--examples` and `--queries` say.

"""
REFUSED = """
Not written, and why:

"""


def page(records: Sequence[Record]) -> str:
    """The whole page; a section without records is left out."""
    rows = [row for row in records if row["file"] == "export_onnx"]
    devices = [row for row in rows if row["metric"] == "milliseconds"]
    found = [row for row in rows if row["metric"] == "max_difference"]
    refused = [row for row in rows if row["metric"] == "refused"]
    parts = [HEAD]
    if devices:
        lines = [device(row) for row in devices]
        parts += [DEVICE, table(["learner", "runtime", "milliseconds", "process", "file"], lines)]
        parts.append(f"\nMachine: {devices[0]['machine']}.\n")
    if found:
        parts += [LEARNERS, table(["learner", "task", "largest difference", "fixed", "file"], map(learner, found))]
    if refused:
        lines = [[row["learner"], row["variant"], row["reason"]] for row in refused]
        parts += [REFUSED, table(["learner", "task", "why"], lines)]
    return "".join(parts)


def device(row: Record) -> list[str]:
    """One runtime."""
    size = "-" if row.get("bytes") is None else f"{row['bytes'] / 1e3:,.0f} kB"
    return [row["learner"], row["variant"], f"{row['value']:.1f}", f"{row['process_mb']:,} MB", size]


def learner(row: Record) -> list[str]:
    """One learner that can be written."""
    fixed = ", ".join(f"{number} {size}" for size, number in row["fixed"].items()) or "-"
    return [row["learner"], row["variant"], f"{row['value']:.0e}", fixed, f"{row['bytes'] / 1e3:,.0f} kB"]


def table(columns: Sequence[str], rows: Any) -> str:
    """Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
