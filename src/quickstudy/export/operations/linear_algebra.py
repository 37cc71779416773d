# mypy: ignore-errors
# Written in onnxscript: Python that is read as ONNX and not run, whose types a checker cannot know.
"""Solvers that ONNX has no operation for, as loops of operations that it has."""

from collections.abc import Callable
from typing import Any, TypeVar, Union

import torch
from onnxscript import DOUBLE, FLOAT, script
from onnxscript import opset18 as op
from onnxscript.values import Opset

OURS = Opset("quickstudy", 1)
aten = torch.ops.aten
# The exporter asks for the types of what a function gives; of X | Y it knows nothing.
T = TypeVar("T", bound=Union[FLOAT, DOUBLE])  # noqa: UP007


@script(OURS)
def Solve(a: T, b: T) -> T:
    """a^-1 b for (..., n, n) and (..., n, m), by elimination without exchanging rows.

    So the leading minors must not vanish, as those of a positive definite matrix do not, nor those of a triangular one.
    """
    n = op.Shape(a)[-1]
    rows = op.Unsqueeze(op.Range(0, n, 1), [1])
    both = op.Concat(a, b, axis=-1)
    for k in range(n):
        column = op.Gather(both, op.Unsqueeze(k, [0]), axis=-1)
        row = op.Gather(both, op.Unsqueeze(k, [0]), axis=-2)
        row = row / op.Gather(row, op.Unsqueeze(k, [0]), axis=-1)
        both = op.Where(op.Equal(rows, k), row, both - column * row)
    return op.Slice(both, op.Unsqueeze(n, [0]), [9223372036854775807], [-1])


@script(OURS)
def Cholesky(a: T) -> T:
    """The lower factor of a symmetric (..., n, n); NaN where it is not positive definite."""
    n = op.Shape(a)[-1]
    places = op.Range(0, n, 1)
    rows, columns = op.Unsqueeze(places, [1]), op.Unsqueeze(places, [0])
    zero = op.CastLike(0.0, a)
    left = op.Identity(a)
    factor = op.Where(op.Equal(a, a), zero, a)
    for k in range(n):
        column = op.Gather(left, op.Unsqueeze(k, [0]), axis=-1)
        row = op.Gather(left, op.Unsqueeze(k, [0]), axis=-2)
        root = op.Sqrt(op.Gather(row, op.Unsqueeze(k, [0]), axis=-1))
        column = op.Where(op.GreaterOrEqual(rows, k), column / root, zero)
        row = op.Where(op.GreaterOrEqual(columns, k), row / root, zero)
        left = left - column * row
        factor = op.Where(op.Equal(columns, k), column, factor)
    return factor


def _solve_ex(A, B, left: bool = True, check_errors: bool = False):
    info = op.ReduceMax(op.Cast(op.IsNaN(A), to=6), [-1, -2], keepdims=0)  # 6: int32
    return Solve(A, B), op.Identity(A), op.Identity(info), info


def _inv_ex(A, check_errors: bool = False):
    n = op.Shape(A, start=-1)
    places = op.Range(op.Constant(value_int=0), op.Squeeze(n), op.Constant(value_int=1))
    same = op.Equal(op.Unsqueeze(places, [1]), op.Unsqueeze(places, [0]))
    inverse = Solve(A, op.Expand(op.CastLike(same, A), op.Shape(A)))
    return inverse, op.ReduceMax(op.Cast(op.IsNaN(inverse), to=6), [-1, -2], keepdims=0)


def _cholesky_ex(self, upper: bool = False, check_errors: bool = False):
    factor = Cholesky(self)
    return factor, op.ReduceMax(op.Cast(op.IsNaN(factor), to=6), [-1, -2], keepdims=0)


def _solve_triangular(self, B, upper: bool, left: bool = True, unitriangular: bool = False):
    return Solve(self, B)


TRANSLATED: dict[Callable[..., Any], Callable[..., Any]] = {
    aten._linalg_solve_ex.default: _solve_ex,
    aten.linalg_inv_ex.default: _inv_ex,
    aten.linalg_cholesky_ex.default: _cholesky_ex,
    aten.linalg_solve_triangular.default: _solve_triangular,
}
