"""A learner's loss and its gradient, traced once into a flat list of tensor operations.

Adapting inside a gradient inside `vmap` costs more in bookkeeping than small nets cost in arithmetic: every operation
passes through three layers of torch, each recorded for a backward pass. But for tasks of one shape the operations are
always the same. So they are written down once, those of the backward pass included, and then simply carried out; what
is not needed any more is let go at once. The numbers are those of the untraced way, operation for operation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..pytree import tree_flatten, tree_unflatten
from ..task import Task

aten = torch.ops.aten
NOTHING = (aten.detach.default, aten.alias.default)  # what only matters to a recording
PLAIN = (int, float, bool, str, tuple, type(None))


class NotTraceable(Exception):
    """The operations are not the same for all tasks of a shape, or cannot be written down; the message says why."""


class _Changing:
    """Stands for a number that changes from step to step: whoever computes with it cannot be traced."""

    def __repr__(self) -> str:
        return "the number of the outer step"


class Flat:
    """The objective, the metric and the summed gradient of a chunk of tasks, as one function of plain tensors.

    Args:
        learner: a `Learner` whose plan takes the whole chunk at once.
        tasks: a batch without padding; only its shapes matter.
        compiled: have the operations fused by torch's compiler.

    Raises:
        NotTraceable: the learner draws random numbers, writes into its buffers, or decides by values.
    """

    def __init__(self, learner: nn.Module, tasks: Task, *, compiled: bool = False):
        from torch.fx.experimental.proxy_tensor import make_fx  # large, and short runs do without it

        leaves, self._spec = tree_flatten(tasks)
        self._learner = _Asked(learner)
        named = dict(self._learner.named_parameters())
        self._trained = {name: p for name, p in named.items() if p.requires_grad}
        self._fixed = {name: p for name, p in named.items() if not p.requires_grad} | dict(
            self._learner.named_buffers()
        )
        self._moved: list[nn.Parameter] = []  # those that the objective depends on
        inputs = [p.detach().requires_grad_() for p in self._trained.values()]
        inputs += [t.detach() for t in self._fixed.values()] + leaves
        counter = getattr(learner, "outer_step", 0)
        try:
            learner.outer_step = _Changing()  # type: ignore[assignment]
            with torch.enable_grad():
                # By shapes alone: nothing is computed, so tracing takes little memory.
                traced = make_fx(self._step, tracing_mode="fake")(*inputs)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise NotTraceable(str(error).strip().partition("\n")[0][:200]) from error
        finally:
            learner.outer_step = counter  # type: ignore[assignment]
        self.graph = simplified(traced)
        self._run: Callable[..., Any] = torch.compile(self.graph, dynamic=False) if compiled else self.graph

    def _step(self, *flat: Tensor) -> list[Tensor]:
        trained = dict(zip(self._trained, flat, strict=False))
        fixed = dict(zip(self._fixed, flat[len(trained) :], strict=False))
        tasks = tree_unflatten(list(flat[len(trained) + len(fixed) :]), self._spec)
        loss = torch.func.functional_call(self._learner, trained | fixed, (tasks,))
        slopes = torch.autograd.grad(loss.objective.sum(), list(trained.values()), allow_unused=True)
        found = [(p, slope) for p, slope in zip(self._trained.values(), slopes, strict=True) if slope is not None]
        self._moved = [p for p, _ in found]
        return [loss.objective.detach(), loss.metric, *(slope for _, slope in found)]

    def __call__(self, tasks: Task) -> tuple[Tensor, Tensor, list[tuple[nn.Parameter, Tensor]]]:
        """(T,) objectives, (T,) metrics, and the gradient of the sum of the objectives for each parameter it moves."""
        leaves = tree_flatten(tasks)[0]
        with torch.no_grad():
            objective, metric, *slopes = self._run(*self._trained.values(), *self._fixed.values(), *leaves)
        return objective, metric, list(zip(self._moved, slopes, strict=True))


class _Asked(nn.Module):
    """A module whose call is the learner's loss."""

    def __init__(self, learner: nn.Module):
        super().__init__()
        self.learner = learner

    def forward(self, tasks: Task) -> Any:
        return self.learner.loss(tasks)  # type: ignore[operator]


def simplified(traced: fx.GraphModule) -> fx.GraphModule:
    """The same operations without those that only mattered to the recording.

    Raises:
        NotTraceable: they write into what they were given, or draw random numbers.
    """
    graph = traced.graph
    inputs = {node for node in graph.nodes if node.op == "placeholder"}
    written = False
    for node in graph.nodes:
        if not isinstance(node.target, torch._ops.OpOverload):
            continue
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise NotTraceable(f"it draws random numbers ({node.target})")
        if node.target._schema.is_mutable:
            written = True
            if inputs & set(node.all_input_nodes):
                raise NotTraceable(f"it may write into its own tensors ({node.target})")
    if not written:
        for node in list(graph.nodes):
            if node.target in NOTHING:
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)
    graph.eliminate_dead_code()
    traced.recompile()
    return traced


def held_bytes(graph: fx.Graph) -> int:
    """The most that the results of a traced step hold at one time, its inputs not counted."""
    last: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        for used in node.all_input_nodes:
            last[_owner(used)] = node
    ends: dict[fx.Node, list[fx.Node]] = {}
    for made, end in last.items():
        ends.setdefault(end, []).append(made)
    now = most = 0
    sizes: dict[fx.Node, int] = {}
    for node in graph.nodes:
        if node.op == "call_function" and _owner(node) is node:
            sizes[node] = _bytes(node.meta.get("val"))
            now += sizes[node]
        most = max(most, now)
        for made in ends.get(node, []):
            now -= sizes.get(made, 0)
    return most


def _owner(node: fx.Node) -> fx.Node:
    """The operation that made the memory which this one's result lies in."""
    while node.op == "call_function" and (node.target is operator.getitem or _is_view(node.target)):
        node = node.all_input_nodes[0]
    return node


def _is_view(target: Any) -> bool:
    if not isinstance(target, torch._ops.OpOverload):
        return False
    result = target._schema.returns
    return bool(result) and result[0].alias_info is not None and not target._schema.is_mutable


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(_bytes(v) for v in value) if isinstance(value, list | tuple) else 0


def signature(learner: nn.Module, tasks: Task) -> tuple[Any, ...]:
    """What a traced step depends on beside the values of tensors: shapes, and the plain options of every module."""
    leaves, spec = tree_flatten(tasks)
    shapes = tuple((leaf.shape, leaf.dtype, leaf.device) for leaf in leaves)
    options = tuple(
        (name, repr(value))
        for module in learner.modules()
        for name, value in vars(module).items()
        if name != "outer_step" and isinstance(value, PLAIN)
    )
    return (*shapes, str(spec), options, tuple(p.requires_grad for p in learner.parameters()))
