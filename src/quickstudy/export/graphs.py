"""What goes into a graph: adapting and answering in one, either alone, or answering with a state that is inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UnknownName
from ..outputs import Gaussian, Output
from ..pytree import tree_flatten, tree_unflatten
from .asked import EXAMPLES, QUERIES, WAYS, Asked
from .refused import NotExportable

PARTS = ("task", "adapt", "predict")
Shape = tuple[str | int, ...]  # of a dimension the name of its size, or the number that it always is


@dataclasses.dataclass(frozen=True)
class Graph:
    """A module of tensors, and what goes in and comes out.

    Args:
        module: tensors in, a tuple of tensors out.
        inputs: name -> for every dimension the name of its size, or the number that it always is.
        outputs: names.
    """

    module: nn.Module
    inputs: dict[str, Shape]
    outputs: tuple[str, ...]

    def free(self, name: str) -> dict[int, str]:
        """The dimensions of an input that may be of any size, and what they count."""
        return {axis: size for axis, size in enumerate(self.inputs[name]) if isinstance(size, str)}


def answering(asked: Asked, state: Any, ways: int) -> Graph:
    """The graph of one task, its state of so many classes inside."""
    return _graph(asked, _Predict(asked, state=state, ways=ways), {"query_x": _queries(asked)}, asked.outputs(state))


def graph(asked: Asked, part: str) -> Graph:
    """The graph of one of `PARTS`; 'predict' takes the tensors of a state.

    Raises:
        UnknownName: no such part.
        NotExportable: the state is not tensors alone.
    """
    if part not in PARTS:
        raise UnknownName.among("part of a learner", part, PARTS)
    y: Shape = (EXAMPLES, WAYS if asked.kind == "classification" else asked.targets)
    support: dict[str, Shape] = {"support_x": (EXAMPLES, *asked.feature), "support_y": y}
    if part == "task":
        return _graph(asked, _Task(asked), support | {"query_x": _queries(asked)}, asked.outputs())
    shapes, spec = _state(asked)
    if part == "adapt":
        return _graph(asked, _Adapt(asked), support, tuple(shapes))
    return _graph(asked, _Predict(asked, spec=spec), {"query_x": _queries(asked)} | shapes, asked.outputs())


def _queries(asked: Asked) -> Shape:
    return (QUERIES, *asked.feature)


def _graph(asked: Asked, module: nn.Module, inputs: Mapping[str, Shape], outputs: tuple[str, ...]) -> Graph:
    """A graph with the sizes that were fixed."""

    def fixed(shape: Shape) -> Shape:
        return tuple(asked.fixed.get(size, size) if isinstance(size, str) else size for size in shape)

    return Graph(module, {name: fixed(shape) for name, shape in inputs.items()}, outputs)


def _state(asked: Asked) -> tuple[dict[str, Shape], Any]:
    """Name and shape of every tensor of a state, and how they fit together: seen by learning tasks of several sizes."""

    def learned(**sizes: int) -> tuple[list[Tensor], Any, dict[str, Tensor]]:
        given = asked.drawn(asked.traced | sizes)
        with torch.no_grad():
            state = asked.learned(given["support_x"], given["support_y"])
        return *tree_flatten(state), given

    leaves, spec, given = learned()
    shapes: list[list[str | int]] = [list(leaf.shape) for leaf in leaves]
    for size in (EXAMPLES, WAYS):
        if size in asked.fixed or (size == WAYS and asked.kind == "regression"):
            continue
        others, other_spec, _ = learned(**{size: asked.traced[size] + 3})
        if spec != other_spec or not all(isinstance(leaf, Tensor) for leaf in leaves):
            raise NotExportable(
                f"A state of {type(asked.learner).__name__} is not tensors alone: it also holds the number of {size},"
                f" which the graph has to know; give {size}=... (--{size}), or export part 'task'.",
                size=size,
            )
        for shape, other in zip(shapes, others, strict=True):
            for i, length in enumerate(other.shape):
                shape[i] = shape[i] if shape[i] == length else size
    return {name: tuple(shape) for name, shape in zip(asked.state(given), shapes, strict=True)}, spec


class _Task(nn.Module):
    """Support set and queries in, answers out."""

    def __init__(self, asked: Asked):
        super().__init__()
        self.asked, self.learner = asked, asked.learner

    def forward(self, support_x: Tensor, support_y: Tensor, query_x: Tensor) -> tuple[Tensor, ...]:
        output = self.learner.predict(self.asked.learned(support_x, support_y), query_x)
        if isinstance(output, Tensor) and self.asked.kind == "classification" and not self.learner.class_equivariant:
            # As in _Predict; but a slice would be written down for one number of classes.
            output = output.index_select(-1, torch.arange(support_y.shape[-1], device=output.device))
        return _tensors(output)


class _Adapt(nn.Module):
    """Support set in, the tensors of the state out."""

    def __init__(self, asked: Asked):
        super().__init__()
        self.asked, self.learner = asked, asked.learner

    def forward(self, support_x: Tensor, support_y: Tensor) -> tuple[Tensor, ...]:
        return tuple(tree_flatten(self.asked.learned(support_x, support_y))[0])


class _Predict(nn.Module):
    """Queries and the tensors of a state in, answers out; no tensors where the state is inside."""

    def __init__(self, asked: Asked, *, state: Any = None, spec: Any = None, ways: int | None = None):
        super().__init__()
        self.learner, self.state, self.spec, self.ways = asked.learner, state, spec, ways

    def forward(self, query_x: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        state = self.state if self.spec is None else tree_unflatten(list(leaves), self.spec)
        output = self.learner.predict(state, query_x)
        # A fixed head may have more outputs than the task has classes.
        return _tensors(output[:, : self.ways] if self.ways and isinstance(output, Tensor) else output)


def _tensors(output: Output) -> tuple[Tensor, ...]:
    # Cloned, since a graph cannot give back what it was given or holds.
    return tuple(t.clone() for t in ((output.mean, output.variance) if isinstance(output, Gaussian) else (output,)))
