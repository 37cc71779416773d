"""A module written down as operations on tensors of any size, the gradients inside it included.

torch.export alone cannot look into the inner loop of a learner. So the operations are recorded first, with tensors that
have a shape and no content, until no derivative is left; what comes out is a plain program that torch.export takes.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping

import jaxtyping
import torch
import torch.nn.functional as F
from torch import Tensor, fx

from ..errors import UserError
from ..functional.instead import Instead
from .graphs import Graph
from .operations.backward import WRITTEN_OUT
from .refused import NotExportable

FAILURES = (RuntimeError, TypeError, ValueError, AssertionError, IndexError, NotImplementedError, AttributeError)


def program(graph: Graph, inputs: Mapping[str, Tensor], name: str) -> torch.export.ExportedProgram:
    """The graph as torch.export has it.

    Args:
        graph: what goes in, and the operations.
        inputs: such that no two sizes are the same number.
        name: of the learner, for messages.

    Raises:
        NotExportable: the operations depend on values, or are others for each number of examples, ways or queries.
    """
    free = {name: graph.free(name) for name in graph.inputs}
    with quiet(), torch.no_grad():
        try:
            flat = _traced(graph, inputs, free, name)
            dynamic = tuple(dict.fromkeys(sizes, torch.export.Dim.DYNAMIC) for sizes in free.values())
            return torch.export.export(flat, tuple(inputs.values()), dynamic_shapes=dynamic, strict=False)
        except FAILURES as error:
            if isinstance(error, UserError):
                raise
            raise NotExportable(f"{name} cannot be written as a graph: {first_line(error)}") from error


def _traced(
    graph: Graph, inputs: Mapping[str, Tensor], free: Mapping[str, dict[int, str]], name: str
) -> fx.GraphModule:
    """The operations as a flat list."""
    from torch._dispatch.python import enable_python_dispatcher  # all of it large, and few need it
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

    sizes = ShapeEnv(duck_shape=False)
    mode = FakeTensorMode(shape_env=sizes, allow_non_fake_inputs=True)
    shaped = []
    for key, tensor in inputs.items():
        axes = [DimDynamic.DYNAMIC if i in free[key] else DimDynamic.STATIC for i in range(tensor.dim())]
        context = StatelessSymbolicContext(dynamic_sizes=axes)  # type: ignore[var-annotated]
        shaped.append(mode.from_tensor(tensor, symbolic_context=context))
    with mode, enable_python_dispatcher(), _unchecked_shapes(), Instead({F.one_hot: _one_hot}):
        made = make_fx(graph.module, decomposition_table=WRITTEN_OUT, _allow_non_fake_inputs=True)(*shaped)
    for key, tensor in zip(free, shaped, strict=True):
        for axis, size in free[key].items():
            length = tensor.shape[axis]
            if isinstance(length, int) or length.node.maybe_as_int() is not None:  # type: ignore[unreachable]
                raise NotExportable(
                    f"The operations of {name} are others for each number of {size}, so its graph takes one number of"
                    f" {size} alone; say which: {size}=... (--{size}).",
                    size=size,
                )
    return made


def _one_hot(y: Tensor, num_classes: int = -1) -> Tensor:
    """As `F.one_hot`, which torch cannot write down for any number of classes."""
    return (y.unsqueeze(-1) == torch.arange(num_classes, device=y.device)).to(torch.int64)


@contextlib.contextmanager
def _unchecked_shapes() -> Iterator[None]:
    """Where shapes in signatures are checked as they run, a size that may be any is no int, and would be refused."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What torch says of its own insides while it exports is not for users; what goes wrong is an exception."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def first_line(error: BaseException) -> str:
    """What an error says, without the pages that torch adds."""
    return f"{str(error).strip().partition(chr(10))[0][:300]} ({type(error).__name__})"
