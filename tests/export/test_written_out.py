"""Derivatives and solvers that ONNX does not have are those of torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quickstudy.export.operations.backward import WRITTEN_OUT
from quickstudy.export.tracing import quiet

aten = torch.ops.aten


@pytest.mark.parametrize("space", [1, 2])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 1, 1, 1), (2, 1, 1, 1), (2, 0, 2, 2), (3, 2, 1, 4), (1, 3, 2, 2)]
)
def test_slopes_of_a_convolution(space: int, stride: int, padding: int, dilation: int, groups: int) -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, weight = draw(3, 4, *(11, 14)[:space]), draw(8, 4 // groups, *(3, 2)[:space])
    how = [[stride] * space, [padding] * space, [dilation] * space]
    slope = draw(*aten.convolution(x, weight, None, *how, False, [0] * space, groups).shape)
    given = (slope, x, weight, [8], *how, False, [0] * space, groups, [True, True, True])
    found = WRITTEN_OUT[aten.convolution_backward.default](*given)
    for ours, right in zip(found, aten.convolution_backward(*given), strict=True):
        assert torch.allclose(ours, right, rtol=1e-10)
    only = WRITTEN_OUT[aten.convolution_backward.default](*given[:-1], [False, True, False])
    assert only[0] is None and only[2] is None and torch.equal(only[1], found[1])


@pytest.mark.parametrize("window", [(2, 2, 0, 1, False), (3, 2, 1, 1, False), (2, 1, 0, 2, False), (3, 2, 0, 1, True)])
def test_slope_of_max_pooling(window: tuple[int, int, int, int, bool]) -> None:
    x = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    how = [[n, n] for n in window[:4]]
    made, where = aten.max_pool2d_with_indices(x, *how, window[4])
    slope = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
    given = (slope, x, *how, window[4], where)
    ours = WRITTEN_OUT[aten.max_pool2d_with_indices_backward.default](*given)
    assert torch.allclose(ours, aten.max_pool2d_with_indices_backward(*given))


class Solvers(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        factor, info = torch.ops.aten.linalg_cholesky_ex(a)
        solved = aten._linalg_solve_ex(a, b)[0]
        inverse = aten.linalg_inv_ex(a)[0]
        return factor, info, torch.linalg.solve_triangular(factor, b, upper=False), solved, inverse


def test_solvers() -> None:
    ort = pytest.importorskip("onnxruntime", reason="exporting needs onnxruntime, onnx and onnxscript")
    pytest.importorskip("onnxscript", reason="exporting needs onnxscript")
    from quickstudy.export.operations.linear_algebra import TRANSLATED

    def draw(n: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(n)
        root = torch.randn(3, n, n, generator=generator, dtype=torch.float64)
        b = torch.randn(3, n, m, generator=generator, dtype=torch.float64)
        return root @ root.mT + torch.eye(n, dtype=torch.float64), b

    any_size = torch.export.Dim.DYNAMIC
    with quiet():
        program = torch.export.export(
            Solvers(), draw(5, 2), dynamic_shapes=({1: any_size, 2: any_size}, {1: any_size, 2: any_size})
        )
        made = torch.onnx.export(program, dynamo=True, verbose=False, custom_translation_table=TRANSLATED)
    session = ort.InferenceSession(made.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for n, m in ((5, 2), (1, 1), (40, 3)):
        a, b = draw(n, m)
        found = session.run(None, {"a": a.numpy(), "b": b.numpy()})
        for ours, right in zip(found, Solvers()(a, b), strict=True):
            assert torch.allclose(torch.from_numpy(ours), right.to(torch.from_numpy(ours).dtype), atol=1e-9)
    a, b = draw(6, 1)
    a[0] -= 9 * torch.eye(6)
    assert session.run(None, {"a": a.numpy(), "b": b.numpy()})[1].tolist() == [1, 0, 0]
