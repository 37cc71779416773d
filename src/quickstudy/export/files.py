"""Bundles, and tasks that they have learned, written as files that other programs run."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bundle import Bundle
from ..errors import UnknownName, UserError
from ..state import Envelope
from ..storage import write_atomically
from ..version import __version__
from . import onnx
from .asked import EXAMPLES, QUERIES, WAYS, Asked
from .checking import Run, difference
from .graphs import Graph, answering, graph
from .refused import NotExportable
from .tracing import program, quiet

FORMATS = ("onnx", "torch")
ABOUT = "quickstudy.json"  # what a .pt2 file says of itself


@dataclasses.dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        path: of the file.
        inputs: name -> shape; a text where a dimension may be of any size.
        outputs: names.
        difference: the largest from the learner's own answers, over tasks of many sizes; in proportion above 1.
        size: in bytes.
    """

    path: Path
    inputs: Mapping[str, tuple[str | int, ...]]
    outputs: tuple[str, ...]
    difference: float
    size: int


def export_bundle(
    bundle: Bundle,
    path: str | Path,
    *,
    format: str = "onnx",
    part: str = "task",
    examples: int | None = None,
    ways: int | None = None,
    queries: int | None = None,
    targets: int = 1,
) -> Exported:
    """Write the learner of a bundle as a graph, checked against torch on tasks of many sizes before it is written.

    The graph takes `support_x` (examples, *feature), `support_y` and `query_x` (queries, *feature), numbers as the
    bundle's encoder makes them. A row of `support_y` is (ways,), 1 at the class of the example and 0 elsewhere, or
    (targets,) numbers of a regression. It gives `logits` (queries, ways), or the `value` (queries, targets) of
    a regression and, where the learner has one, its `variance`. Steps of an inner loop are unrolled.

    Args:
        bundle: whose learner.
        path: of the file.
        format: 'onnx', or 'torch' for a program of torch.export (.pt2).
        part: 'task' (adapts and answers), 'adapt' (gives the tensors of the state, named as in a state file), or
            'predict' (takes them).
        examples: the number of support examples, for learners whose graph is another for each.
        ways: the number of classes, likewise.
        queries: the number of queries, likewise.
        targets: length of a target of a regression.

    Raises:
        NotExportable: the learner cannot be written so, or the graph answers otherwise; the message says why.
        UserError: a package is missing: pip install 'quickstudy[export]'.
    """
    fixed = {name: n for name, n in {EXAMPLES: examples, WAYS: ways, QUERIES: queries}.items() if n is not None}
    asked = _asked(bundle, fixed, targets)
    return _export(bundle, asked, graph(asked, part), Path(path), format, {"part": part})


def export_state(
    bundle: Bundle,
    state: Any,
    envelope: Envelope,
    path: str | Path,
    *,
    format: str = "onnx",
    queries: int | None = None,
) -> Exported:
    """Write a task that was learned as a graph: `query_x` in, `logits` or `value` out; the state is inside.

    The names of the classes stand in the metadata, in the order of the logits.

    Args:
        bundle: that learned it.
        state: what it learned.
        envelope: of the state.
        path: of the file.
        format: 'onnx', or 'torch' for a program of torch.export (.pt2).
        queries: the number of queries, for learners whose graph is another for each.

    Raises:
        BadFile: another bundle's state.
        NotExportable, UserError: as `export_bundle`.
    """
    bundle.check(envelope)
    asked = _asked(bundle, {} if queries is None else {QUERIES: queries}, 1)
    about = {"part": "predict", "classes": json.dumps(envelope.classes, ensure_ascii=False)}
    return _export(bundle, asked, answering(asked, state, len(envelope.classes)), Path(path), format, about)


def _asked(bundle: Bundle, fixed: Mapping[str, int], targets: int) -> Asked:
    learner = bundle.learner
    if any(n < 1 for n in fixed.values()):
        raise UserError(f"Sizes of a graph count something, so they are 1 or more; these are {dict(fixed)}.")
    if learner.stochastic:
        raise NotExportable(f"{type(learner).__name__} draws random numbers as it adapts, which a graph cannot.")
    dtype = next((p.dtype for p in learner.parameters()), torch.float32)
    return Asked(learner, bundle.kind, bundle.feature, targets, fixed, dtype)


def _export(bundle: Bundle, asked: Asked, made: Graph, path: Path, format: str, about: Mapping[str, str]) -> Exported:
    if format not in FORMATS:
        raise UnknownName.among("format of a graph", format, FORMATS)
    name = type(asked.learner).__name__
    inputs = partial(_inputs, asked, made)
    flat = program(made, inputs(asked.traced, 0), name)
    about = {**_about(bundle, asked), **about}
    content = onnx.content(flat, made, about, name) if format == "onnx" else _torch_content(flat, about)
    run = onnx.session(content, name) if format == "onnx" else _loaded(content)
    apart = difference(asked, made, run, inputs)
    write_atomically(path, content)
    return Exported(path, made.inputs, made.outputs, apart, len(content))


def _inputs(asked: Asked, made: Graph, sizes: Mapping[str, int], key: int) -> dict[str, Tensor]:
    """Inputs of a graph for a made-up task; a state among them is one that the learner has learned."""
    given = asked.drawn(sizes, key=key)
    if any(name not in given for name in made.inputs):
        with torch.no_grad():
            given |= asked.state(given)
    return {name: given[name] for name in made.inputs}


def _about(bundle: Bundle, asked: Asked) -> dict[str, str]:
    """What a file says of itself."""
    given = bundle.about["input"]
    reading = {"modality": bundle.modality or "", "encoder": given["encoder"]["name"]} if "encoder" in given else {}
    sizes = {size: str(n) for size, n in asked.fixed.items()}
    return {
        "quickstudy": __version__,
        "learner": type(asked.learner).__name__,
        "bundle": bundle.identity,
        "kind": bundle.kind,
        "feature": json.dumps(bundle.feature),
        **reading,
        **sizes,
    }


def _torch_content(made: torch.export.ExportedProgram, about: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with quiet():
        torch.export.save(made, file, extra_files={ABOUT: json.dumps(about)})
    return file.getvalue()


def _loaded(content: bytes) -> Run:
    with quiet():
        module = torch.export.load(io.BytesIO(content)).module()

    def run(inputs: Mapping[str, Tensor]) -> list[np.ndarray]:
        with torch.no_grad():
            return [t.numpy() for t in module(*inputs.values())]

    return run
