"""A program as ONNX: a file of data, which runtimes on phones, in browsers and on small boards carry out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..extras import brought_in
from .checking import Run
from .graphs import Graph
from .refused import NotExportable
from .tracing import first_line, quiet


def content(program: torch.export.ExportedProgram, graph: Graph, about: Mapping[str, str], name: str) -> bytes:
    """The content of an ONNX file.

    Args:
        program: of the graph.
        graph: names its inputs, outputs and sizes.
        about: what the file says of itself (its metadata).
        name: of the learner, for messages.

    Raises:
        UserError: a package is missing.
        NotExportable: there is an operation that ONNX does not have.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        brought_in(package, "Writing ONNX", "export")
    from torch.onnx.errors import OnnxExporterError

    from .operations.linear_algebra import TRANSLATED

    try:
        with quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                custom_translation_table=TRANSLATED,
                optimize=False,  # or 1e-16, as in Adam, is taken for zero and left out; runtimes optimise on their own
            )
    except (OnnxExporterError, RuntimeError) as error:
        raise NotExportable(f"{name} has an operation that ONNX has not: {_operation(error)}") from error
    assert made is not None
    model = made.model_proto
    for key, value in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    _name_sizes(model, graph)
    made_of: bytes = model.SerializeToString()
    return made_of


def _operation(error: BaseException) -> str:
    """The operation that an error of the exporter is about."""
    found: BaseException | None = error
    while found is not None:
        if "No ONNX function found for" in str(found):
            return str(found).partition("overload")[0].partition("op=")[2].strip("', ") or first_line(found)
        found = found.__cause__
    return first_line(error)


def _name_sizes(model: Any, graph: Graph) -> None:
    """Write 'examples' where the exporter wrote a symbol of its own."""
    for value in model.graph.input:
        for axis, size in graph.free(value.name).items():
            value.type.tensor_type.shape.dim[axis].dim_param = size


def session(content: bytes, name: str) -> Run:
    """An ONNX file as onnxruntime runs it, on one thread: inputs by name, outputs in their order.

    Raises:
        NotExportable: it cannot be run.
    """
    onnxruntime = brought_in("onnxruntime", "Running ONNX", "export")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is an exception
    try:
        made = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own kinds
        raise NotExportable(f"onnxruntime does not take the graph of {name}: {first_line(error)}") from error
    # What the graph has no use for is no input of it.
    names = [value.name for value in made.get_inputs()]
    return lambda inputs: made.run(None, {name: inputs[name].numpy() for name in names})
